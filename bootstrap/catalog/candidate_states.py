"""What becomes of candidates: drawn, curated, hidden, put up for review, found broken."""

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
from bootstrap.errors import UserError
from bootstrap.shots import Shot


@dataclass(frozen=True)
class NewCandidate:
    """A picture that has just been drawn; its file is there."""

    id: str  # its shot's
    shot: Shot
    path: Path  # relative to the project's folder
    turn: int = 0  # its turn among those of its generation as they are planned
    seconds: float | None = None  # that drawing it took
    measured: Measured | None = None


def add_drawn(catalog: Catalog, project: str, number: int, drawn: Sequence[NewCandidate]) -> None:
    """Add candidates to a generation in this order, in one transaction.

    One whose file was lost and has been drawn again keeps its verdict.
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
                session.flush()  # it gets its number; one by one, so that their order is this one
            if new.measured is not None:
                measurements.note(session, row, new.measured)


def note_curated(
    catalog: Catalog,
    measured: Mapping[int, Measured | None],
    duplicate_of: Mapping[int, str],
    broken: Collection[int],
) -> None:
    """Note what curation found out about drawn candidates, in one transaction; all by the catalog's numbers.

    Args:
        measured: what was measured; None where the catalog has it already.
        duplicate_of: the candidates' ids that some of them show again, or "original".
        broken: those whose pictures cannot be read.
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
    """Put curated and flawed candidates of a generation up for review, or hide them for their flaws; by their ids."""
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
    """Put candidates up for review whatever they look like, the undecided ones before all others."""
    with catalog.write() as session:
        for row in session.scalars(_of_project(session, project).where(CandidateRow.shot_id.in_(ids))):
            states.move(row, CandidateState.PUBLISHED)
            row.duplicate_of = None
            row.rank = 0 if row.verdict is Verdict.UNDECIDED else row.rank


def call_broken(catalog: Catalog, project: str, ids: Collection[str]) -> list[str]:
    """Note that the pictures of candidates are missing or damaged.

    Returns:
        The ids of the duplicates that are hidden behind them, and may be none any more.
    """
    with catalog.write() as session:
        of_project = _of_project(session, project)
        for row in session.scalars(of_project.where(CandidateRow.shot_id.in_(ids))):
            states.move(row, CandidateState.BROKEN)
        return [row.shot_id for row in session.scalars(of_project.where(CandidateRow.duplicate_of.in_(ids)))]


def represent(catalog: Catalog, project: str, candidate_id: str) -> None:
    """Show a duplicate of another candidate in place of that one, with its state; the others of the group follow.

    Raises:
        UserError: the one that is shown has a verdict, or its picture is broken.
    """
    with catalog.write() as session:
        of_project = _of_project(session, project)
        row = session.scalars(of_project.where(CandidateRow.shot_id == candidate_id)).one()
        shown = session.scalars(of_project.where(CandidateRow.shot_id == row.duplicate_of)).one()
        if shown.verdict is not Verdict.UNDECIDED:
            raise UserError(
                f"candidate '{shown.shot_id}': it has a verdict ({shown.verdict}); take it back first with "
                f"`sid undo {project} {shown.shot_id}`"
            )
        if shown.state not in (*KEPT, CandidateState.FLAWED):
            raise UserError(
                f"candidate '{shown.shot_id}': it stands for the group, but its picture is {shown.state}; "
                f"`sid dedupe {project} --again` compares the group anew"
            )
        for other in session.scalars(of_project.where(CandidateRow.duplicate_of == shown.shot_id)).all():
            other.duplicate_of = row.shot_id
        states.move(row, shown.state)
        row.duplicate_of = None
        states.move(shown, CandidateState.DUPLICATE)
        shown.duplicate_of = row.shot_id


def duplicates_among(catalog: Catalog, rows: Iterable[int]) -> dict[int, Candidate]:
    """Return those of these candidates (the catalog's numbers) that are duplicates."""
    with catalog.read() as session:
        found = [session.get_one(CandidateRow, row) for row in rows]
        return {
            row.id: to_candidate(row, row.generation.number)
            for row in found
            if row.state is CandidateState.DUPLICATE
        }


def note_compared(
    catalog: Catalog, rows: Iterable[int], duplicate_of: Mapping[int, str], readable: Collection[int]
) -> int:
    """Hide and show undecided candidates after they were compared anew, in one transaction.

    Args:
        rows: the catalog's numbers of those that were compared.
        duplicate_of: the candidates' ids that some of them show again, or "original".
        readable: those of the duplicates whose pictures can be shown.

    Returns:
        How many are hidden that were not.
    """
    hidden = 0
    with catalog.write() as session:
        for number in rows:
            row = session.get_one(CandidateRow, number)
            # Given a verdict, or found broken, in the meantime.
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
