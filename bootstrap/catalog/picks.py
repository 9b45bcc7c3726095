"""Picks in the catalog: which candidates the dataset has, and which it should have."""

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
class Changes:
    """What stands between the dataset and the verdicts as they are now."""

    to_add: list[Candidate]  # accepted, and not in the dataset yet; oldest first
    to_remove: list[str]  # ids of candidates that are in the dataset, but not accepted any more

    def __bool__(self) -> bool:
        return bool(self.to_add or self.to_remove)


def picks(catalog: Catalog, project: str) -> list[Pick]:
    """Return the picks that the dataset of a project has, in order of growth."""
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
    """Note how the dataset has grown, and that the generation under review is grown, in one transaction.

    Args:
        number: of that generation.
        added: new picks, in the order of growth.
        removed: ids of candidates that are no picks any more.
    """
    with catalog.write() as session:
        owner = project_row(session, project)
        mine = select(CandidateRow.id).where(CandidateRow.project_id == owner.id)
        for pick in added:
            row_id = session.scalars(mine.where(CandidateRow.shot_id == pick.candidate_id)).one()
            _add(session, row_id, pick)
        gone = mine.where(CandidateRow.shot_id.in_(removed))
        session.execute(delete(PickRow).where(PickRow.candidate_id.in_(gone)))
        states.move(generation_row(session, project, number), GenerationState.GROWN)


def restore(catalog: Catalog, project: str, given: Iterable[Pick], reviewer: str) -> int:
    """Accept the candidates that the dataset's folder has copies of, and note them as picks, in one transaction.

    Picks that the catalog has, and those whose candidate it does not know, are left as they are.

    Args:
        given: in the order of growth.
        reviewer: who accepts them.

    Returns:
        How many were noted.
    """
    added = 0
    with catalog.write() as session:
        owner = project_row(session, project)
        for pick in given:
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
    session.flush()  # one by one: the order of the rows is the order of the picks


def set_captions(catalog: Catalog, project: str, captions: Mapping[str, str]) -> None:
    """Give picks other captions, by candidate id, in one transaction."""
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
    wanted = {one.id for one in accepted}
    present = [pick.candidate_id for pick in picks(catalog, project)]
    return Changes(
        to_add=[one for one in accepted if one.id not in set(present)],
        to_remove=[candidate_id for candidate_id in present if candidate_id not in wanted],
    )
