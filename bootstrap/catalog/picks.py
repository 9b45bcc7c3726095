"""Picks in the catalog: the candidates that the dataset has, and those that it should have."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bootstrap.catalog import states, verdicts
from bootstrap.catalog.candidates import Candidate, candidates
from bootstrap.catalog.generations import generation_row, project_row
from bootstrap.catalog.states import CandidateState, GenerationState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, PickRow, ProjectRow, now


@dataclass(frozen=True)
class Pick:
    """An accepted candidate that the dataset has."""

    candidate_id: str
    path: Path  # relative to the project's folder
    caption: str


@dataclass(frozen=True)
class Removed:
    """A pick that was taken out of the dataset, and its place in it."""

    row: int  # the catalog's number of the pick
    pick: Pick


@dataclass(frozen=True)
class Changes:
    """The difference between the dataset and the current verdicts."""

    to_add: list[Candidate]  # accepted but not in the dataset yet; oldest first
    to_remove: list[str]  # ids of candidates that are in the dataset but no longer accepted

    def __bool__(self) -> bool:
        return bool(self.to_add or self.to_remove)


def picks(catalog: Catalog, project: str) -> list[Pick]:
    """Return the picks of a project's dataset, in order of growth."""
    query = (
        select(CandidateRow.shot_id, PickRow.path, PickRow.caption)
        .join(CandidateRow, PickRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project)
        .order_by(PickRow.id)
    )
    with catalog.read() as session:
        return [
            Pick(candidate_id, Path(path), caption) for candidate_id, path, caption in session.execute(query)
        ]


def apply(
    catalog: Catalog, project: str, number: int, added: Sequence[Pick], removed: Collection[str]
) -> None:
    """Record the dataset's growth and set the generation under review to grown, in one transaction.

    Args:
        number: of the generation under review.
        added: new picks, in the order of growth.
        removed: ids of candidates that are no longer picks.
    """
    with catalog.write() as session:
        owner = project_row(session, project)
        of_project = select(CandidateRow.id).where(CandidateRow.project_id == owner.id)
        for pick in added:
            row_id = session.scalars(of_project.where(CandidateRow.shot_id == pick.candidate_id)).one()
            _add(session, row_id, pick)
        gone = of_project.where(CandidateRow.shot_id.in_(removed))
        session.execute(delete(PickRow).where(PickRow.candidate_id.in_(gone)))
        states.move(generation_row(session, project, number), GenerationState.GROWN)


def remove(catalog: Catalog, project: str, ids: Collection[str], reviewer: str) -> list[Removed]:
    """Take picks out of the dataset and reject their candidates, in one transaction.

    Args:
        ids: the candidates' ids; those that are no picks are skipped.
        reviewer: who rejects them.

    Returns:
        What `put_back` needs.
    """
    removed = []
    with catalog.write() as session:
        owner, act, moment = project_row(session, project), str(uuid4()), now()
        rows = session.execute(
            select(PickRow, CandidateRow)
            .join(CandidateRow, PickRow.candidate_id == CandidateRow.id)
            .where(CandidateRow.project_id == owner.id, CandidateRow.shot_id.in_(ids))
            .order_by(PickRow.id)
        ).all()
        for pick, candidate in rows:
            removed.append(Removed(pick.id, Pick(candidate.shot_id, Path(pick.path), pick.caption)))
            session.delete(pick)
            verdicts.give(session, candidate, Verdict.REJECT, reviewer, act, moment)
    return removed


def put_back(catalog: Catalog, project: str, removed: Sequence[Removed], reviewer: str) -> list[Pick]:
    """Undo `remove` in one transaction: accept the candidates, and record the picks in their former places.

    Candidates that are picks again already, or that the catalog has lost, are skipped.

    Returns:
        The picks that are back.
    """
    back = []
    with catalog.write() as session:
        owner, act, moment = project_row(session, project), str(uuid4()), now()
        for one in removed:
            row = session.scalar(
                select(CandidateRow).where(
                    CandidateRow.project_id == owner.id, CandidateRow.shot_id == one.pick.candidate_id
                )
            )
            if row is None or session.scalar(select(PickRow).where(PickRow.candidate_id == row.id)):
                continue
            if row.verdict is not Verdict.ACCEPT:
                verdicts.give(session, row, Verdict.ACCEPT, reviewer, act, moment)
            # Its former number: a training's id depends on the order of the picks.
            place = one.row if session.get(PickRow, one.row) is None else None
            session.add(
                PickRow(
                    id=place, candidate_id=row.id, path=one.pick.path.as_posix(), caption=one.pick.caption
                )
            )
            session.flush()
            back.append(one.pick)
    return back


def restore(catalog: Catalog, project: str, copies: Iterable[Pick], reviewer: str) -> int:
    """Accept the candidates that the dataset's folder has copies of, and record them as picks, in one transaction.

    Picks that the catalog has already, and those whose candidate it does not know, are skipped.

    Args:
        copies: in the order of growth.
        reviewer: who accepts them.

    Returns:
        The number of picks that were added.
    """
    added = 0
    with catalog.write() as session:
        owner = project_row(session, project)
        for pick in copies:
            row = session.scalar(
                select(CandidateRow).where(
                    CandidateRow.project_id == owner.id, CandidateRow.shot_id == pick.candidate_id
                )
            )
            if row is None:
                continue
            if session.scalar(select(PickRow).where(PickRow.candidate_id == row.id)) is not None:
                continue
            states.move(row, CandidateState.PUBLISHED)
            row.duplicate_of = None
            if row.verdict is not Verdict.ACCEPT:
                verdicts.give(session, row, Verdict.ACCEPT, reviewer, str(uuid4()), now())
            _add(session, row.id, pick)
            added += 1
    return added


def _add(session: Session, row_id: int, pick: Pick) -> None:
    session.add(PickRow(candidate_id=row_id, path=pick.path.as_posix(), caption=pick.caption))
    session.flush()  # row by row: the order of the rows is the order of the picks


def set_captions(catalog: Catalog, project: str, captions: Mapping[str, str]) -> None:
    """Change the captions of picks, by candidate id, in one transaction."""
    with catalog.write() as session:
        rows = session.execute(
            select(PickRow, CandidateRow.shot_id)
            .join(CandidateRow, PickRow.candidate_id == CandidateRow.id)
            .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
            .where(ProjectRow.name == project, CandidateRow.shot_id.in_(captions))
        )
        for row, candidate_id in rows:
            row.caption = captions[candidate_id]


def changes(catalog: Catalog, project: str) -> Changes:
    """Return what growing the dataset now would add and remove."""
    accepted = candidates(catalog, project, verdict=Verdict.ACCEPT)
    accepted_ids = {candidate.id for candidate in accepted}
    pick_ids = [pick.candidate_id for pick in picks(catalog, project)]
    return Changes(
        to_add=[candidate for candidate in accepted if candidate.id not in set(pick_ids)],
        to_remove=[candidate_id for candidate_id in pick_ids if candidate_id not in accepted_ids],
    )
