"""Generations in the catalog: which one is next, what state it is in, how far it has come."""

import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bootstrap.catalog import states, tallies
from bootstrap.catalog.states import CandidateState, GenerationState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow, now
from bootstrap.catalog.tallies import Tally
from bootstrap.progress import Progress, Report


@dataclass(frozen=True)
class GenerationStatus:
    """A generation as a person wants to know it."""

    number: int
    state: GenerationState
    stage: str
    done: int
    total: int
    unit: str
    rate: float  # units a second
    message: str
    seconds_since_update: float
    candidates: int  # drawn in all
    duplicates: int
    published: int  # shown to the reviewer
    undecided: int
    accepted: int
    rejected: int


def project_row(session: Session, name: str) -> ProjectRow:
    """Return the project's row, made when it is not there yet (needs a writing session then)."""
    row = session.scalar(select(ProjectRow).where(ProjectRow.name == name))
    if row is None:
        row = ProjectRow(name=name)
        session.add(row)
        session.flush()
    return row


def generation_row(session: Session, project: str, number: int) -> GenerationRow:
    """Return the row of a generation that is there.

    Raises:
        sqlalchemy.exc.NoResultFound: it is not.
    """
    found = session.scalars(
        select(GenerationRow)
        .join(ProjectRow)
        .where(ProjectRow.name == project, GenerationRow.number == number)
    )
    return found.one()


def latest(catalog: Catalog, project: str) -> int | None:
    """Return the highest generation number of a project, None before the first."""
    with catalog.read() as session:
        return session.scalar(
            select(func.max(GenerationRow.number)).join(ProjectRow).where(ProjectRow.name == project)
        )


def begin(catalog: Catalog, project: str) -> int:
    """Return the number of the generation to work on now, its row made when it is new.

    That is the latest one as long as it has not been grown, and the next one after that. A new one remembers what
    became of all earlier shots.
    """
    with catalog.write() as session:
        owner = project_row(session, project)
        rows = select(GenerationRow).where(GenerationRow.project_id == owner.id)
        last = session.scalar(rows.order_by(GenerationRow.number.desc()).limit(1))
        if last is not None and last.state is not GenerationState.GROWN:
            return last.number
        number = last.number + 1 if last else 1
        known = [one.to_dict() for one in tallies.of_project(session, owner.id)]
        session.add(
            GenerationRow(
                project_id=owner.id, number=number, state=GenerationState.WAITING, tallies=known
            )
        )  # fmt: skip
        return number


def tallies_of(catalog: Catalog, project: str, number: int) -> tuple[Tally, ...]:
    """Return what had become of earlier shots when a generation began, or, before it has, what has by now."""
    with catalog.read() as session:
        owner = session.scalar(select(ProjectRow).where(ProjectRow.name == project))
        if owner is None:
            return ()
        known = session.scalar(
            select(GenerationRow.tallies).where(
                GenerationRow.project_id == owner.id, GenerationRow.number == number
            )
        )
        if known is None:
            return tuple(tallies.of_project(session, owner.id))
        return tuple(map(Tally.from_dict, known))


def next_number(catalog: Catalog, project: str) -> int:
    """Return the number that `begin` would return, and change nothing."""
    last = latest(catalog, project)
    if last is None:
        return 1
    with catalog.read() as session:
        return last + 1 if generation_row(session, project, last).state is GenerationState.GROWN else last


def restore(catalog: Catalog, project: str, number: int) -> bool:
    """Make the row of a generation whose folder is there, as cancelled, unless it has one; return whether it is new."""
    with catalog.write() as session:
        owner = project_row(session, project)
        same = select(GenerationRow).where(
            GenerationRow.project_id == owner.id, GenerationRow.number == number
        )
        if session.scalar(same) is not None:
            return False
        session.add(GenerationRow(project_id=owner.id, number=number, state=GenerationState.CANCELLED))
    return True


def state_of(catalog: Catalog, project: str, number: int) -> GenerationState:
    """Return the state of a generation that is there."""
    with catalog.read() as session:
        return generation_row(session, project, number).state


def set_state(catalog: Catalog, project: str, number: int, state: GenerationState, message: str = "") -> None:
    """Bring a generation into a state; the message says why it failed.

    Raises:
        RuntimeError: this state may not follow the present one, see bootstrap.catalog.states.
    """
    with catalog.write() as session:
        row = generation_row(session, project, number)
        states.move(row, state)
        row.message, row.updated_at = message, now()
        row.stage, row.done, row.total, row.unit, row.rate = "", 0, 0, "", 0.0


def reporter(catalog: Catalog, project: str, number: int, every_seconds: float = 0.5) -> Report:
    """Return a Report that keeps the generation's row up to date, at most once in `every_seconds`."""
    last_told = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last_told
        finished = progress.done >= progress.total
        if not finished and time.monotonic() - last_told < every_seconds:
            return
        last_told = time.monotonic()
        with catalog.write() as session:
            row = generation_row(session, project, number)
            row.stage, row.done, row.total = progress.stage, progress.done, progress.total
            row.unit, row.rate, row.message = progress.unit, progress.rate, progress.detail
            row.updated_at = now()

    return tell


def statuses(catalog: Catalog, project: str) -> list[GenerationStatus]:
    """Return the status of each generation of a project, oldest first."""
    with catalog.read() as session:
        rows = session.scalars(
            select(GenerationRow)
            .join(ProjectRow)
            .where(ProjectRow.name == project)
            .order_by(GenerationRow.number)
        ).all()
        counts = session.execute(
            select(CandidateRow.generation_id, CandidateRow.state, CandidateRow.verdict, func.count())
            .where(CandidateRow.project_id.in_({row.project_id for row in rows}))  # as the index begins
            .where(CandidateRow.generation_id.in_([row.id for row in rows]))
            .group_by(CandidateRow.generation_id, CandidateRow.state, CandidateRow.verdict)
        ).all()
    moment = now()
    result = []
    for row in rows:
        mine = [(state, verdict, count) for owner, state, verdict, count in counts if owner == row.id]
        shown = [(verdict, count) for state, verdict, count in mine if state is CandidateState.PUBLISHED]
        result.append(
            GenerationStatus(
                row.number, row.state, row.stage, row.done, row.total, row.unit, row.rate, row.message,
                (moment - row.updated_at).total_seconds(),
                candidates=sum(count for *_, count in mine),
                duplicates=sum(count for state, _, count in mine if state is CandidateState.DUPLICATE),
                published=sum(count for _, count in shown),
                undecided=sum(count for verdict, count in shown if verdict is Verdict.UNDECIDED),
                accepted=sum(count for verdict, count in shown if verdict is Verdict.ACCEPT),
                rejected=sum(count for verdict, count in shown if verdict is Verdict.REJECT),
            )
        )  # fmt: skip
    return result
