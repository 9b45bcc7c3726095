"""Who looks at what: undecided candidates are handed out to one browser at a time, for as long as it is there.

A hand-out ends by itself after HELD_SECONDS, unless the browser says that it is still there; so a browser that
crashed keeps nothing from anyone for long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from bootstrap.catalog.candidates import Candidate, to_candidate
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow, VerdictRow, now

HELD_SECONDS = 120.0


@dataclass(frozen=True)
class Hand:
    """What lies before one browser."""

    new: list[Candidate]  # handed out now, in the order of the queue
    kept: list[str]  # ids of those it had, and may go on with
    elsewhere: int  # undecided candidates that lie before other browsers


@dataclass(frozen=True)
class Past:
    """An act of a reviewer that stands, and can be undone."""

    act: str
    verdict: str
    before: str  # the verdict that its candidate had
    candidate: Candidate  # the first one, where it decided several
    given: dict[str, str]  # {candidate's id: the verdict that it gave}


def deal(
    catalog: Catalog,
    project: str,
    generation: int,
    browser: str,
    count: int,
    holding: Sequence[str] = (),
    first: Sequence[str] = (),
) -> Hand:
    """Hand out up to `count` undecided candidates that lie before nobody else.

    Args:
        browser: its name, up to 36 characters.
        holding: ids of those that it has already; they stay its own.
        first: ids of those to hand out before all others, decided ones too.
    """
    moment = now()
    until = moment + timedelta(seconds=HELD_SECONDS)
    undecided = _undecided(project, generation)
    free = or_(
        CandidateRow.held_by.is_(None), CandidateRow.held_until.is_(None), CandidateRow.held_until < moment,
        CandidateRow.held_by == browser,
    )  # fmt: skip
    with catalog.write() as session:
        mine = session.scalars(undecided.where(free, CandidateRow.shot_id.in_(list(holding)))).all()
        wished = _published(project, generation).where(free, CandidateRow.shot_id.in_(list(first)))
        rows = list(session.scalars(wished))
        there = {*holding, *first}
        queue = undecided.where(free, CandidateRow.shot_id.not_in(list(there))).order_by(
            CandidateRow.postponed_at.is_not(None),
            CandidateRow.postponed_at,
            CandidateRow.rank,
            CandidateRow.id,
        )
        if count > 0:
            locked = queue.limit(count).with_for_update(of=CandidateRow, skip_locked=True)
            rows += session.scalars(locked)
        held = [row.id for row in (*mine, *rows) if row.verdict == "undecided"]
        session.execute(
            update(CandidateRow)
            .where(CandidateRow.id.in_(held))
            .values(held_by=browser, held_until=until)
            .execution_options(synchronize_session=False)
        )
        elsewhere = session.scalar(
            undecided.with_only_columns(func.count()).where(
                and_(CandidateRow.held_by != browser, CandidateRow.held_until >= moment)
            )
        )
    return Hand(
        [to_candidate(row, generation) for row in rows], [row.shot_id for row in mine], elsewhere or 0
    )


def release(catalog: Catalog, project: str, browser: str) -> None:
    """Give back all that lies before a browser."""
    with catalog.write() as session:
        owner = select(ProjectRow.id).where(ProjectRow.name == project).scalar_subquery()
        session.execute(
            update(CandidateRow)
            .where(CandidateRow.project_id == owner, CandidateRow.held_by == browser)
            .values(held_by=None, held_until=None)
            .execution_options(synchronize_session=False)
        )


def past(
    catalog: Catalog, project: str, generation: int, reviewer: str, count: int, before: str = ""
) -> list[Past]:
    """Return the last standing acts of a reviewer in a generation, the latest first.

    Args:
        before: only those before this act.
    """
    with catalog.read() as session:
        mine = (
            select(VerdictRow.act, func.max(VerdictRow.id).label("last"))
            .join(CandidateRow, VerdictRow.candidate_id == CandidateRow.id)
            .where(CandidateRow.generation_id == _generation_id(session, project, generation))
            .where(VerdictRow.reviewer == reviewer, VerdictRow.undone_at.is_(None))
            .group_by(VerdictRow.act)
            .order_by(func.max(VerdictRow.id).desc())
            .limit(count)
        )
        if before:
            earlier = select(func.min(VerdictRow.id)).where(VerdictRow.act == before).scalar_subquery()
            mine = mine.where(VerdictRow.id < earlier)
        return [_past(session, act, generation) for act, _ in session.execute(mine)]


def _past(session: Session, act: str, generation: int) -> Past:
    given = session.execute(
        select(VerdictRow, CandidateRow)
        .join(CandidateRow, VerdictRow.candidate_id == CandidateRow.id)
        .where(VerdictRow.act == act, VerdictRow.undone_at.is_(None))
        .order_by(VerdictRow.id)
    ).all()
    (first, row), *_ = given
    return Past(
        act, first.verdict, first.before, to_candidate(row, generation),
        {one.shot_id: verdict.verdict for verdict, one in given},
    )  # fmt: skip


def _published(project: str, generation: int) -> Select[tuple[CandidateRow]]:
    return (
        select(CandidateRow)
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(
            ProjectRow.name == project,
            GenerationRow.number == generation,
            CandidateRow.state == "published",
        )
    )


def _undecided(project: str, generation: int) -> Select[tuple[CandidateRow]]:
    return _published(project, generation).where(CandidateRow.verdict == "undecided")


def _generation_id(session: Session, project: str, generation: int) -> int | None:
    return session.scalar(
        select(GenerationRow.id)
        .join(ProjectRow)
        .where(ProjectRow.name == project, GenerationRow.number == generation)
    )
