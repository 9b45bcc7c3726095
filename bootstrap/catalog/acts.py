"""What reviewers do in their browsers: recorded in order, and only once however often the browser sends it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bootstrap.catalog import reviews, verdicts
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, ProjectRow, VerdictRow, now

KINDS = (Verdict.ACCEPT, Verdict.REJECT, "later", "undo")


@dataclass(frozen=True)
class Act:
    """One press of a key or button."""

    id: str  # made by the browser, up to 36 characters
    do: str  # one of KINDS
    seen: dict[str, str]  # {candidate's id: the verdict that the screen showed for it}
    reason: str = ""  # of a reject
    of: str = ""  # of an undo: the act to undo


@dataclass(frozen=True)
class Refusal:
    """A candidate for which an act was refused."""

    act: str
    candidate: str
    why: str  # as the reviewer reads it


def apply(catalog: Catalog, project: str, acts: Sequence[Act], reviewer: str) -> list[Refusal]:
    """Carry out acts in order, in one transaction that is committed when this returns.

    An act that was carried out before is skipped. An act on a candidate whose verdict is not the one that the person
    saw is refused, so two people never overwrite each other's verdicts.

    Returns:
        The refused acts; everything else is in the catalog.
    """
    refused: list[Refusal] = []
    touched: set[int] = set()
    with catalog.write() as session:
        for act in acts:
            rows = _rows(session, project, list(act.seen))
            verdict_rows = _verdict_rows(session, act.of if act.do == "undo" else act.id)
            for candidate, seen in act.seen.items():
                row = rows.get(candidate)
                if row is None or row.state is not CandidateState.PUBLISHED:
                    why = f"candidate {candidate} is no longer published"
                elif act.do == "undo":
                    why = _undo(session, row, verdict_rows.get(row.id))
                elif act.do == "later":
                    why = _postpone(row, seen)
                else:
                    why = "" if row.id in verdict_rows else _decide(session, row, act, seen, reviewer)
                if why:
                    refused.append(Refusal(act.id, candidate, why))
            session.flush()
            touched |= {row.generation_id for row in rows.values()}
        finished = reviews.note(session, touched)
    reviews.announce(project, finished)
    return refused


def _rows(session: Session, project: str, ids: list[str]) -> dict[str, CandidateRow]:
    query = (
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project)
        .with_for_update(of=CandidateRow)  # SQLite has only one writer at a time, PostgreSQL many
    )
    rows: dict[str, CandidateRow] = {}
    for first in range(0, len(ids), 500):  # databases limit the number of values in a query
        part = query.where(CandidateRow.shot_id.in_(ids[first : first + 500]))
        rows |= {row.shot_id: row for row in session.scalars(part)}
    return rows


def _decide(session: Session, row: CandidateRow, act: Act, seen: str, reviewer: str) -> str:
    if row.verdict != seen:
        return _decided_meanwhile(row)
    verdict = Verdict(act.do)
    reason = act.reason if verdict is Verdict.REJECT else ""
    verdicts.give(session, row, verdict, reviewer, act.id, now(), reason)
    return ""


def _postpone(row: CandidateRow, seen: str) -> str:
    if row.verdict != seen:
        return _decided_meanwhile(row)
    row.postponed_at, row.held_by, row.held_until = now(), None, None
    return ""


def _undo(session: Session, row: CandidateRow, verdict_row: VerdictRow | None) -> str:
    if verdict_row is None:  # the act put it off, or was refused
        row.postponed_at = None
    elif verdict_row.undone_at is None:
        last = verdicts.standing(session, row.id)
        if last is None or last.id != verdict_row.id:
            return _decided_meanwhile(row)
        verdicts.take_back(session, verdict_row)
    return ""


def _verdict_rows(session: Session, act: str) -> dict[int, VerdictRow]:
    """Return the verdicts that an act has already given, by the candidate's row."""
    return {row.candidate_id: row for row in session.scalars(select(VerdictRow).where(VerdictRow.act == act))}


def _decided_meanwhile(row: CandidateRow) -> str:
    by = f" by {row.reviewer}" if row.reviewer else ""
    return {
        Verdict.ACCEPT: f"accepted{by} meanwhile; that stands",
        Verdict.REJECT: f"rejected{by} meanwhile; that stands",
    }.get(row.verdict, "its verdict was undone meanwhile; look again")
