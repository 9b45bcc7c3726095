"""Who looks at what: undecided candidates are handed out to one browser at a time, for as long as it is there.

A hand-out ends by itself after HELD_SECONDS, unless the browser says that it is still there; so a browser that
crashed keeps nothing from anyone for long.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from bootstrap.catalog.candidates import Candidate, of_generation, to_candidate
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow, VerdictRow, now

HELD_SECONDS = 120.0


@dataclass(frozen=True)
class Hand:
    """What lies before one browser."""

    new: list[Candidate]  # handed out now, in the order of the queue
    kept: list[str]  # ids of those it had, and may go on with
    elsewhere: (
        int  # undecided candidates that lie before other browsers; 0 while there are others to hand out
    )


@dataclass(frozen=True)
class Past:
    """An act of a reviewer that stands, and can be undone."""

    act: str
    verdict: Verdict
    before: Verdict  # the verdict that its candidate had
    candidate: Candidate  # the first one, where it decided several
    given: dict[str, Verdict]  # {candidate's id: the verdict that it gave}


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
    undecided = select(CandidateRow).where(
        *of_generation(project, generation),
        CandidateRow.state == CandidateState.PUBLISHED,
        CandidateRow.verdict == Verdict.UNDECIDED,
    )
    free = or_(
        CandidateRow.held_by.is_(None), CandidateRow.held_until.is_(None), CandidateRow.held_until < moment,
        CandidateRow.held_by == browser,
    )  # fmt: skip
    elsewhere = 0
    with catalog.write() as session:
        there = _those(session, project, generation, {*holding, *first}, free)
        mine = [row for row in there if row.shot_id in holding and row.verdict is Verdict.UNDECIDED]
        rows = [row for row in there if row.shot_id in first]
        known = CandidateRow.shot_id.not_in({*holding, *first})
        rows += _next(session, undecided.where(free, known), count)
        held = [row.id for row in (*mine, *rows) if row.verdict is Verdict.UNDECIDED]
        session.execute(
            update(CandidateRow)
            .where(CandidateRow.id.in_(held))
            .values(held_by=browser, held_until=until)
            .execution_options(synchronize_session=False)
        )
        if len(rows) < count:
            others = and_(CandidateRow.held_by != browser, CandidateRow.held_until >= moment)
            elsewhere = session.scalar(undecided.with_only_columns(func.count()).where(others)) or 0
    return Hand([to_candidate(row, generation) for row in rows], [row.shot_id for row in mine], elsewhere)


def _those(
    session: Session, project: str, generation: int, ids: Collection[str], free: ColumnElement[bool]
) -> list[CandidateRow]:
    """Those of a generation's published candidates with these ids that are free."""
    if not ids:
        return []
    owner = select(ProjectRow.id).where(ProjectRow.name == project).scalar_subquery()
    rows = session.scalars(
        select(CandidateRow)
        .where(CandidateRow.project_id == owner, CandidateRow.shot_id.in_(ids))
        .where(CandidateRow.state == CandidateState.PUBLISHED, free)
        .order_by(CandidateRow.id)
    )
    number = _generation_id(session, project, generation)
    return [row for row in rows if row.generation_id == number]


def _next(session: Session, queue: Select[tuple[CandidateRow]], count: int) -> list[CandidateRow]:
    """The next rows of a queue, locked: by rank, and after all of them those that were put off.

    In two steps, for the database has an index that goes by rank: of thousands it then reads the first few.
    """
    rows: list[CandidateRow] = []
    by_rank = queue.where(CandidateRow.postponed_at.is_(None)).order_by(CandidateRow.rank, CandidateRow.id)
    put_off = queue.where(CandidateRow.postponed_at.is_not(None)).order_by(
        CandidateRow.postponed_at, CandidateRow.rank, CandidateRow.id
    )
    for part in (by_rank, put_off):
        left = count - len(rows)
        if left > 0:
            rows += session.scalars(part.limit(left).with_for_update(of=CandidateRow, skip_locked=True))
    return rows


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


def _generation_id(session: Session, project: str, generation: int) -> int | None:
    return session.scalar(
        select(GenerationRow.id)
        .join(ProjectRow)
        .where(ProjectRow.name == project, GenerationRow.number == generation)
    )
