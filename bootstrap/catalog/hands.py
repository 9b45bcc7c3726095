"""Hand out undecided candidates, each to one browser at a time, while that browser is open.

A browser keeps its candidates for HELD_SECONDS, and longer only if it reports that it is still open. So a browser that
crashed does not block its candidates for long. With each report it gives back what it no longer wants to hold.
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
    """The candidates that one browser holds."""

    new: list[Candidate]  # handed out now, in the order of the queue
    kept: list[str]  # ids of those that it had before and still holds
    elsewhere: int  # undecided candidates that other browsers hold; 0 while there are more to hand out
    browsers: int  # other browsers that hold undecided candidates


@dataclass(frozen=True)
class Past:
    """A reviewer's act that stands and can be undone."""

    act: str
    verdict: Verdict
    before: Verdict  # the verdict that its candidate had before
    candidate: Candidate  # the first one, if the act decided several
    given: dict[str, Verdict]  # {candidate's id: the verdict that the act gave}


def deal(
    catalog: Catalog,
    project: str,
    generation: int,
    browser: str,
    count: int,
    holding: Sequence[str] = (),
    first: Sequence[str] = (),
    among: Collection[int] | None = None,
) -> Hand:
    """Hand out up to `count` undecided candidates that no other browser holds.

    Args:
        browser: its name, up to 36 characters.
        holding: ids of the candidates that it holds already and keeps; it gives all others back.
        first: ids of the candidates to hand out before all others, including decided ones.
        among: rows of the candidates to hand out alone, apart from `first`; None: all of the generation.
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
    with catalog.write() as session:
        named_rows = _free_rows(session, project, generation, {*holding, *first}, free)
        kept = [row for row in named_rows if row.shot_id in holding and row.verdict is Verdict.UNDECIDED]
        rows = [row for row in named_rows if row.shot_id in first]
        not_named = CandidateRow.shot_id.not_in({*holding, *first})
        rows += _next(session, undecided.where(free, not_named), count, among)
        held = [row.id for row in (*kept, *rows) if row.verdict is Verdict.UNDECIDED]
        session.execute(
            update(CandidateRow)
            .where(CandidateRow.id.in_(held))
            .values(held_by=browser, held_until=until)
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(CandidateRow)
            .where(*of_generation(project, generation))
            .where(CandidateRow.held_by == browser, CandidateRow.id.not_in(held))
            .values(held_by=None, held_until=None)
            .execution_options(synchronize_session=False)
        )
        others = and_(CandidateRow.held_by != browser, CandidateRow.held_until >= moment)
        columns = undecided.with_only_columns(CandidateRow.id, CandidateRow.held_by)
        there = session.execute(columns.where(others)).all()  # each browser holds only a few
    elsewhere = sum(among is None or row in among for row, _ in there) if len(rows) < count else 0
    browsers = len({holder for _, holder in there})
    new = [to_candidate(row, generation) for row in rows]
    return Hand(new, [row.shot_id for row in kept], elsewhere, browsers)


def _free_rows(
    session: Session, project: str, generation: int, ids: Collection[str], free: ColumnElement[bool]
) -> list[CandidateRow]:
    """Return the rows with these ids among a generation's published candidates, if they are free."""
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


def _next(
    session: Session, queue: Select[tuple[CandidateRow]], count: int, among: Collection[int] | None
) -> list[CandidateRow]:
    """Return the next rows of a queue, locked: by rank, then the candidates that were put off.

    It takes two queries because the database has an index by rank, and so reads only the first few of thousands.
    """
    rows: list[CandidateRow] = []
    by_rank = queue.where(CandidateRow.postponed_at.is_(None)).order_by(CandidateRow.rank, CandidateRow.id)
    put_off = queue.where(CandidateRow.postponed_at.is_not(None)).order_by(
        CandidateRow.postponed_at, CandidateRow.rank, CandidateRow.id
    )
    for part in (by_rank, put_off):
        left = count - len(rows)
        if left > 0 and among is not None:  # databases limit the number of values in a query
            ids = session.scalars(part.with_only_columns(CandidateRow.id))
            part = part.where(CandidateRow.id.in_([row for row in ids if row in among][:left]))
        if left > 0:
            rows += session.scalars(part.limit(left).with_for_update(of=CandidateRow, skip_locked=True))
    return rows


def release(catalog: Catalog, project: str, browser: str) -> None:
    """Release all candidates that a browser holds."""
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
    """Return a reviewer's last standing acts in a generation, the latest first.

    Args:
        count: the greatest number of acts.
        before: only acts before this one.
    """
    with catalog.read() as session:
        acts = (
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
            acts = acts.where(VerdictRow.id < earlier)
        return [_past(session, act, generation) for act, _ in session.execute(acts)]


def _past(session: Session, act: str, generation: int) -> Past:
    decided = session.execute(
        select(VerdictRow, CandidateRow)
        .join(CandidateRow, VerdictRow.candidate_id == CandidateRow.id)
        .where(VerdictRow.act == act, VerdictRow.undone_at.is_(None))
        .order_by(VerdictRow.id)
    ).all()
    (first, row), *_ = decided
    return Past(
        act, first.verdict, first.before, to_candidate(row, generation),
        {candidate.shot_id: verdict.verdict for verdict, candidate in decided},
    )  # fmt: skip


def _generation_id(session: Session, project: str, generation: int) -> int | None:
    return session.scalar(
        select(GenerationRow.id)
        .join(ProjectRow)
        .where(ProjectRow.name == project, GenerationRow.number == generation)
    )
