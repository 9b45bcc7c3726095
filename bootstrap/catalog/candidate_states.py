"""Changes of candidates' states: drawn, curated, hidden, published for review, found broken."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bootstrap.catalog import measurements, states
from bootstrap.catalog.candidates import Candidate, to_candidate
from bootstrap.catalog.generations import generation_row, project_row
from bootstrap.catalog.measurements import Measured
from bootstrap.catalog.states import KEPT, CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.shots import Shot


@dataclass(frozen=True)
class NewCandidate:
    """A picture that has just been drawn and whose file exists."""

    id: str  # its shot's
    shot: Shot
    path: Path  # relative to the project's folder
    turn: int = 0  # its place in its generation's plan
    seconds: float | None = None  # that drawing it took
    measured: Measured | None = None


def add_drawn(catalog: Catalog, project: str, number: int, drawn: Sequence[NewCandidate]) -> None:
    """Add candidates to a generation in this order, in one transaction.

    A candidate whose file was lost and has been redrawn keeps its verdict.
    """
    with catalog.write() as session:
        generation = generation_row(session, project, number)
        for new in drawn:
            row = session.scalar(_of(generation.project_id).where(CandidateRow.shot_id == new.id))
            if row is not None:
                row.path, row.seconds = new.path.as_posix(), new.seconds
                if row.state is CandidateState.BROKEN:
                    states.move(row, CandidateState.DRAWN)
            else:
                row = CandidateRow(
                    project_id=generation.project_id, generation_id=generation.id, shot_id=new.id,
                    shot=new.shot.to_dict(), turn=new.turn, path=new.path.as_posix(), seconds=new.seconds,
                    state=CandidateState.DRAWN,
                )  # fmt: skip
                session.add(row)
                session.flush()  # numbers it; row by row, so that the numbers follow this order
            if new.measured is not None:
                measurements.note(session, row, new.measured)


def note_curated(
    catalog: Catalog,
    measured: Mapping[int, Measured | None],
    duplicate_of: Mapping[int, str],
    broken: Collection[int],
) -> None:
    """Record the results of curation on drawn candidates, in one transaction; all by the catalog's row numbers.

    Args:
        measured: what was measured; None if the catalog has it already.
        duplicate_of: for each duplicate, the id of the candidate that it repeats, or "original".
        broken: the candidates whose pictures cannot be read.
    """
    with catalog.write() as session:
        rows = session.scalars(select(CandidateRow).where(CandidateRow.id.in_([*measured, *broken])))
        for row in rows:
            if row.id in broken:
                states.move(row, CandidateState.BROKEN)
                continue
            new = measured[row.id]
            if new is not None:
                measurements.note(session, row, new)
            row.duplicate_of = duplicate_of.get(row.id)
            states.move(row, CandidateState.DUPLICATE if row.duplicate_of else CandidateState.CURATED)


def publish(
    catalog: Catalog, project: str, number: int, shown: Collection[str], flawed: Collection[str]
) -> None:
    """Publish curated and flawed candidates of a generation for review, or hide them for their flaws.

    Args:
        shown: ids of the candidates to publish.
        flawed: ids of the candidates to hide.
    """
    with catalog.write() as session:
        owner = generation_row(session, project, number)
        rows = session.scalars(
            select(CandidateRow).where(
                CandidateRow.generation_id == owner.id,
                CandidateRow.state.in_((CandidateState.CURATED, CandidateState.FLAWED)),
            )
        )
        for row in rows:
            if row.shot_id in shown:
                states.move(row, CandidateState.PUBLISHED)
            elif row.shot_id in flawed:
                states.move(row, CandidateState.FLAWED)


def put_up(catalog: Catalog, project: str, ids: Collection[str]) -> None:
    """Publish candidates for review whatever they look like; undecided ones go to the front of the queue."""
    with catalog.write() as session:
        for row in session.scalars(_of_project(session, project).where(CandidateRow.shot_id.in_(ids))):
            states.move(row, CandidateState.PUBLISHED)
            row.duplicate_of = None
            row.rank = 0 if row.verdict is Verdict.UNDECIDED else row.rank


def call_broken(catalog: Catalog, project: str, ids: Collection[str]) -> list[str]:
    """Record that the pictures of candidates are missing or damaged.

    Returns:
        The ids of the duplicates hidden behind them, which may no longer be duplicates.
    """
    with catalog.write() as session:
        of_project = _of_project(session, project)
        for row in session.scalars(of_project.where(CandidateRow.shot_id.in_(ids))):
            states.move(row, CandidateState.BROKEN)
        return [row.shot_id for row in session.scalars(of_project.where(CandidateRow.duplicate_of.in_(ids)))]


def represent(catalog: Catalog, project: str, candidate_id: str) -> None:
    """Show a duplicate in place of the candidate that stands for its group, and give it that candidate's state.

    The group's other duplicates are then hidden behind the new one.

    Raises:
        UserError: the candidate that is shown now has a verdict, or its picture is broken.
    """
    with catalog.write() as session:
        of_project = _of_project(session, project)
        row = session.scalars(of_project.where(CandidateRow.shot_id == candidate_id)).one()
        shown = session.scalars(of_project.where(CandidateRow.shot_id == row.duplicate_of)).one()
        if shown.verdict is not Verdict.UNDECIDED:
            raise UserError(
                f"candidate '{shown.shot_id}': it has a verdict ({shown.verdict}); undo it first with "
                f"`{command('undo', project, shown.shot_id)}`"
            )
        if shown.state not in (*KEPT, CandidateState.FLAWED):
            raise UserError(
                f"candidate '{shown.shot_id}': it stands for its group, but its picture is {shown.state}; "
                f"`{command('dedupe', project, '--again')}` compares the group again"
            )
        for duplicate in session.scalars(of_project.where(CandidateRow.duplicate_of == shown.shot_id)).all():
            duplicate.duplicate_of = row.shot_id
        states.move(row, shown.state)
        row.duplicate_of = None
        states.move(shown, CandidateState.DUPLICATE)
        shown.duplicate_of = row.shot_id


def duplicates_among(catalog: Catalog, rows: Iterable[int]) -> dict[int, Candidate]:
    """Return the duplicates among these candidates, by the catalog's row numbers."""
    with catalog.read() as session:
        candidate_rows = [session.get_one(CandidateRow, number) for number in rows]
        return {
            row.id: to_candidate(row, row.generation.number)
            for row in candidate_rows
            if row.state is CandidateState.DUPLICATE
        }


def note_compared(
    catalog: Catalog, rows: Iterable[int], duplicate_of: Mapping[int, str], readable: Collection[int]
) -> int:
    """Hide and show undecided candidates after they were compared again, in one transaction.

    Args:
        rows: the catalog's row numbers of the compared candidates.
        duplicate_of: for each duplicate, the id of the candidate that it repeats, or "original".
        readable: the duplicates whose pictures can be shown.

    Returns:
        The number of candidates that are newly hidden.
    """
    hidden = 0
    with catalog.write() as session:
        for number in rows:
            row = session.get_one(CandidateRow, number)
            # It was given a verdict, or found broken, in the meantime.
            if row.verdict is not Verdict.UNDECIDED or row.state not in (*KEPT, CandidateState.DUPLICATE):
                continue
            if number in duplicate_of:
                hidden += row.state is not CandidateState.DUPLICATE
                states.move(row, CandidateState.DUPLICATE)
                row.duplicate_of = duplicate_of[number]
            elif number in readable and row.state is CandidateState.DUPLICATE:
                is_up = session.get_one(GenerationRow, row.generation_id).state.is_up_for_review
                states.move(row, CandidateState.PUBLISHED if is_up else CandidateState.CURATED)
                row.duplicate_of = None
    return hidden


def _of(project_id: int) -> Select[tuple[CandidateRow]]:
    return select(CandidateRow).where(CandidateRow.project_id == project_id)


def _of_project(session: Session, project: str) -> Select[tuple[CandidateRow]]:
    return _of(project_row(session, project).id)
