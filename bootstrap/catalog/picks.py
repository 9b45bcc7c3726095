"""Picks in the catalog: which candidates the dataset has, and which it should have."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bootstrap.catalog.candidates import Candidate, candidates
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, PickRow, ProjectRow


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
    accepted = candidates(catalog, project, verdict="accept")
    wanted = {one.id for one in accepted}
    present = [pick.candidate_id for pick in picks(catalog, project)]
    return Changes(
        to_add=[one for one in accepted if one.id not in set(present)],
        to_remove=[candidate_id for candidate_id in present if candidate_id not in wanted],
    )
