"""Generations in the catalog: their numbers, states and progress."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bootstrap import reading
from bootstrap.catalog import states, tallies
from bootstrap.catalog.states import CandidateState, GenerationState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow, now, remedy
from bootstrap.catalog.tallies import Tally
from bootstrap.progress import Progress, Report

# The message of a generation until `sid reindex` has added all that its folder has.
BEING_RESTORED = "its folder is being read; `sid reindex` goes on with it"


@dataclass(frozen=True)
class GenerationStatus:
    """A generation's progress, and the counts of its candidates."""

    number: int
    state: GenerationState
    stage: str
    done: int
    total: int
    unit: str
    rate: float  # units per second
    message: str
    seconds_since_update: float
    candidates: int  # drawn in total
    duplicates: int
    published: int  # shown to the reviewer
    undecided: int
    accepted: int
    rejected: int


def project_row(session: Session, name: str) -> ProjectRow:
    """Return the project's row; a missing row is created, which needs a writing session."""
    row = session.scalar(select(ProjectRow).where(ProjectRow.name == name))
    if row is None:
        row = ProjectRow(name=name)
        session.add(row)
        session.flush()
    return row


def generation_row(session: Session, project: str, number: int) -> GenerationRow:
    """Return the row of a generation.

    Raises:
        sqlalchemy.exc.NoResultFound: the catalog does not have it.
    """
    rows = session.scalars(
        select(GenerationRow)
        .join(ProjectRow)
        .where(ProjectRow.name == project, GenerationRow.number == number)
    )
    return rows.one()


def latest(catalog: Catalog, project: str) -> int | None:
    """Return the highest generation number of a project, or None before the first generation."""
    with catalog.read() as session:
        return session.scalar(
            select(func.max(GenerationRow.number)).join(ProjectRow).where(ProjectRow.name == project)
        )


def latest_of_all(catalog: Catalog) -> dict[str, tuple[int, GenerationState]]:
    """Return number and state of each project's latest generation, by the project's name."""
    newest = (
        select(GenerationRow.project_id, func.max(GenerationRow.number).label("number"))
        .group_by(GenerationRow.project_id)
        .subquery()
    )
    query = (
        select(ProjectRow.name, GenerationRow.number, GenerationRow.state)
        .join(GenerationRow, GenerationRow.project_id == ProjectRow.id)
        .join(
            newest,
            (newest.c.project_id == GenerationRow.project_id) & (newest.c.number == GenerationRow.number),
        )
    )
    with catalog.read() as session:
        return {name: (number, state) for name, number, state in session.execute(query)}


def begin(catalog: Catalog, project: str) -> int:
    """Return the number of the generation to work on now; create its row if it is new.

    This is the latest generation until it has been grown, and the next one after that. A new generation's row keeps
    the tallies of all earlier shots.
    """
    with catalog.write() as session:
        owner = project_row(session, project)
        rows = select(GenerationRow).where(GenerationRow.project_id == owner.id)
        last = session.scalar(rows.order_by(GenerationRow.number.desc()).limit(1))
        if last is not None and last.state is not GenerationState.GROWN:
            return last.number
        number = last.number + 1 if last else 1
        earlier = [tally.to_dict() for tally in tallies.of_project(session, owner.id)]
        session.add(
            GenerationRow(
                project_id=owner.id, number=number, state=GenerationState.WAITING, tallies=earlier
            )
        )  # fmt: skip
        return number


def tallies_of(catalog: Catalog, project: str, number: int) -> tuple[Tally, ...]:
    """Return the tallies of earlier shots as of the generation's beginning, or as of now if it has not begun."""
    with catalog.read() as session:
        owner = session.scalar(select(ProjectRow).where(ProjectRow.name == project))
        if owner is None:
            return ()
        stored = session.scalar(
            select(GenerationRow.tallies).where(
                GenerationRow.project_id == owner.id, GenerationRow.number == number
            )
        )
        if stored is None:
            return tuple(tallies.of_project(session, owner.id))
        rows = reading.shaped(list[Any], stored, "catalog: the tallies of a generation", remedy())
        return tuple(map(Tally.from_dict, rows))


def next_number(catalog: Catalog, project: str) -> int:
    """Return the number that `begin` would return, without changing anything."""
    last = latest(catalog, project)
    if last is None:
        return 1
    with catalog.read() as session:
        return last + 1 if generation_row(session, project, last).state is GenerationState.GROWN else last


def restore(catalog: Catalog, project: str, numbers: Iterable[int]) -> None:
    """Create the rows of generations whose folders exist, as cancelled and being restored, unless they exist."""
    with catalog.write() as session:
        owner = project_row(session, project)
        known = set(session.scalars(select(GenerationRow.number).where(GenerationRow.project_id == owner.id)))
        for number in sorted(set(numbers) - known):
            session.add(
                GenerationRow(
                    project_id=owner.id, number=number, state=GenerationState.CANCELLED, message=BEING_RESTORED
                )
            )  # fmt: skip


def being_restored(catalog: Catalog, project: str) -> list[int]:
    """Return the numbers of the generations that `restore` created and whose message has not changed since."""
    query = (
        select(GenerationRow.number)
        .join(ProjectRow)
        .where(ProjectRow.name == project, GenerationRow.message == BEING_RESTORED)
        .order_by(GenerationRow.number)
    )
    with catalog.read() as session:
        return list(session.scalars(query))


def state_of(catalog: Catalog, project: str, number: int) -> GenerationState:
    """Return the state of a generation that the catalog has."""
    with catalog.read() as session:
        return generation_row(session, project, number).state


def set_state(catalog: Catalog, project: str, number: int, state: GenerationState, message: str = "") -> None:
    """Move a generation to a state.

    Args:
        message: why it failed, if it did.

    Raises:
        RuntimeError: this state may not follow the current one, see bootstrap.catalog.states.
    """
    with catalog.write() as session:
        row = generation_row(session, project, number)
        states.move(row, state)
        row.message, row.updated_at = message, now()
        row.stage, row.done, row.total, row.unit, row.rate = "", 0, 0, "", 0.0


def reporter(catalog: Catalog, project: str, number: int, every_seconds: float = 0.5) -> Report:
    """Return a Report that keeps the generation's row up to date, at most once every `every_seconds`."""
    last_written = 0.0

    def report(progress: Progress) -> None:
        nonlocal last_written
        finished = progress.done >= progress.total
        if not finished and time.monotonic() - last_written < every_seconds:
            return
        last_written = time.monotonic()
        with catalog.write() as session:
            row = generation_row(session, project, number)
            row.stage, row.done, row.total = progress.stage, progress.done, progress.total
            row.unit, row.rate, row.message = progress.unit, progress.rate, progress.detail
            row.updated_at = now()

    return report


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
            .where(CandidateRow.project_id.in_({row.project_id for row in rows}))  # the index's first column
            .where(CandidateRow.generation_id.in_([row.id for row in rows]))
            .group_by(CandidateRow.generation_id, CandidateRow.state, CandidateRow.verdict)
        ).all()
    moment = now()
    result = []
    for row in rows:
        by_state = [(state, verdict, count) for owner, state, verdict, count in counts if owner == row.id]
        published = [
            (verdict, count) for state, verdict, count in by_state if state is CandidateState.PUBLISHED
        ]
        result.append(
            GenerationStatus(
                row.number, row.state, row.stage, row.done, row.total, row.unit, row.rate, row.message,
                (moment - row.updated_at).total_seconds(),
                candidates=sum(count for *_, count in by_state),
                duplicates=sum(count for state, _, count in by_state if state is CandidateState.DUPLICATE),
                published=sum(count for _, count in published),
                undecided=sum(count for verdict, count in published if verdict is Verdict.UNDECIDED),
                accepted=sum(count for verdict, count in published if verdict is Verdict.ACCEPT),
                rejected=sum(count for verdict, count in published if verdict is Verdict.REJECT),
            )
        )  # fmt: skip
    return result
