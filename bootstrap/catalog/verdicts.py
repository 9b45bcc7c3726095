"""Verdicts in the catalog: given, undone, never lost."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from bootstrap.catalog import reviews, states
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow, VerdictRow, now
from bootstrap.errors import UserError


@dataclass(frozen=True)
class Given:
    """A verdict that was given, and perhaps undone."""

    candidate_id: str
    verdict: Verdict
    reviewer: str
    reason: str  # of a reject, if one was given
    is_undone: bool


def decide(catalog: Catalog, project: str, candidate_ids: list[str], verdict: Verdict, reviewer: str) -> None:
    """Give published candidates a verdict, in one transaction that is committed when this returns.

    Args:
        candidate_ids: whole ids, 16 hex digits each.
        verdict: Verdict.ACCEPT or Verdict.REJECT.
        reviewer: who decides.

    Raises:
        UserError: a candidate is unknown or not up for review; none gets the verdict then.
    """
    if verdict is Verdict.UNDECIDED:
        raise ValueError("undecided is not a decision; see undo")
    with catalog.write() as session:
        act, moment, generations = str(uuid4()), now(), set()
        for candidate_id in candidate_ids:
            row = session.scalar(
                select(CandidateRow).join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
                .where(ProjectRow.name == project, CandidateRow.shot_id == candidate_id)
            )  # fmt: skip
            if row is None:
                raise UserError(f"candidate '{candidate_id}': project '{project}' has none with this id")
            if row.state is not CandidateState.PUBLISHED:
                raise UserError(f"candidate '{candidate_id}': it is not published ({row.state})")
            give(session, row, verdict, reviewer, act, moment)
            generations.add(row.generation_id)
        finished = reviews.note(session, generations)
    reviews.announce(project, finished)


def give(
    session: Session,
    row: CandidateRow,
    verdict: Verdict,
    reviewer: str,
    act: str,
    moment: datetime,
    reason: str = "",
) -> None:
    """Give a candidate a verdict, within the caller's transaction.

    Args:
        act: the same for all verdicts that are undone together, up to 36 characters.
        reason: of a reject, up to 80 characters.
    """
    session.add(
        VerdictRow(
            candidate_id=row.id, verdict=verdict, before=row.verdict, reviewer=reviewer, act=act, reason=reason,
            decided_at=moment,
        )
    )  # fmt: skip
    states.move(row, verdict)
    row.reviewer, row.reason, row.decided_at = reviewer, reason, moment
    row.held_by, row.held_until, row.postponed_at = None, None, None


def history(catalog: Catalog, project: str) -> list[Given]:
    """Return all verdicts ever given in a project, in order, including undone ones."""
    query = (
        select(CandidateRow.shot_id, VerdictRow)
        .join(VerdictRow, VerdictRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project)
        .order_by(VerdictRow.id)
    )
    with catalog.read() as session:
        return [
            Given(candidate_id, row.verdict, row.reviewer, row.reason, row.undone_at is not None)
            for candidate_id, row in session.execute(query)
        ]


def undo(
    catalog: Catalog,
    project: str,
    candidate_id: str | None = None,
    *,
    generation: int | None = None,
    reviewer: str | None = None,
) -> str | None:
    """Undo the last standing verdict; the candidate gets back its previous one.

    Args:
        candidate_id: only verdicts on this candidate; None: on any.
        generation: only verdicts in this generation.
        reviewer: only verdicts of this reviewer.

    Returns:
        The id of the candidate whose verdict was undone, or None if there is nothing to undo.
    """
    query = (
        select(VerdictRow)
        .join(CandidateRow, VerdictRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .where(ProjectRow.name == project, VerdictRow.undone_at.is_(None))
        .order_by(VerdictRow.id.desc())
        .limit(1)
    )
    if candidate_id is not None:
        query = query.where(CandidateRow.shot_id == candidate_id)
    if generation is not None:
        query = query.where(GenerationRow.number == generation)
    if reviewer is not None:
        query = query.where(VerdictRow.reviewer == reviewer)
    with catalog.write() as session:
        last = session.scalar(query)
        if last is None:
            return None
        take_back(session, last)
        reviews.note(session, [last.candidate.generation_id])
        return last.candidate.shot_id


def undo_act(catalog: Catalog, project: str, reviewer: str) -> list[str]:
    """Undo all standing verdicts of a reviewer's last act, and return the ids of their candidates.

    An act is everything decided at once: with one key, one click or one command.
    """
    later = aliased(VerdictRow)
    # A verdict that a later one covers stays: undoing it would change nothing visible.
    covered = select(later.id).where(
        later.candidate_id == VerdictRow.candidate_id, later.undone_at.is_(None), later.id > VerdictRow.id
    )
    uncovered = (
        select(VerdictRow)
        .join(CandidateRow, VerdictRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, VerdictRow.undone_at.is_(None), VerdictRow.reviewer == reviewer)
        .where(~covered.exists())
        .order_by(VerdictRow.id.desc())
    )
    with catalog.write() as session:
        last = session.scalar(uncovered.limit(1))
        if last is None:
            return []
        verdict_rows = session.scalars(uncovered.where(VerdictRow.act == last.act)).all()
        for verdict_row in verdict_rows:
            take_back(session, verdict_row)
        reviews.note(session, {verdict_row.candidate.generation_id for verdict_row in verdict_rows})
        return [verdict_row.candidate.shot_id for verdict_row in reversed(verdict_rows)]


def take_back(session: Session, last: VerdictRow) -> None:
    """Undo a candidate's last standing verdict, within the caller's transaction."""
    last.undone_at = now()
    session.flush()
    row, previous = last.candidate, standing(session, last.candidate_id)
    states.move(row, last.before)
    row.reviewer, row.reason, row.decided_at = (
        (previous.reviewer, previous.reason, previous.decided_at) if previous else ("", "", None)
    )


def standing(session: Session, candidate_id: int) -> VerdictRow | None:
    """Return the last verdict on a candidate that was not undone, or None.

    Args:
        candidate_id: the row's id.
    """
    return session.scalar(
        select(VerdictRow)
        .where(VerdictRow.candidate_id == candidate_id, VerdictRow.undone_at.is_(None))
        .order_by(VerdictRow.id.desc())
        .limit(1)
    )
