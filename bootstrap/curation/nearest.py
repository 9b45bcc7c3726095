"""Which picture of the dataset a candidate looks like most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select

from bootstrap.catalog import Catalog
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.tables import CandidateRow, FeatureRow, PickRow, ProjectRow


@dataclass(frozen=True)
class _Vectors:
    """What some candidates look like to one embedder."""

    ids: list[str]
    rows: NDArray[np.float32]  # (n, d), each of length 1


def nearest_picks(catalog: Catalog, project: str, some: Sequence[Candidate]) -> dict[str, str]:
    """Return {candidate's id: id of the pick that it looks like most}.

    Candidates that are nearer to the original than to any pick are left out, and so are those that have no vector
    (see bootstrap.curation.scoring).
    """
    picks = _vectors(catalog, _of_picks(project))
    if not picks:
        return {}
    closeness = {one.id: one.scores.closeness or 0.0 for one in some}
    nearest = {}
    for embedder, mine in _vectors(catalog, _of_candidates(project, list(closeness))).items():
        if embedder not in picks:
            continue
        others = picks[embedder]
        cosines = mine.rows @ others.rows.T
        itself = np.array(mine.ids)[:, None] == np.array(others.ids)[None, :]
        cosines[itself] = -np.inf
        for one, best, cosine in zip(mine.ids, cosines.argmax(axis=1), cosines.max(axis=1), strict=True):
            if cosine > closeness[one]:
                nearest[one] = others.ids[best]
    return nearest


def _of_candidates(project: str, ids: list[str]) -> Select[tuple[str, str, bytes]]:
    return (
        select(CandidateRow.shot_id, FeatureRow.embedder, FeatureRow.vector)
        .join(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.shot_id.in_(ids))
    )


def _of_picks(project: str) -> Select[tuple[str, str, bytes]]:
    owner = select(ProjectRow.id).where(ProjectRow.name == project).scalar_subquery()
    return (
        select(CandidateRow.shot_id, FeatureRow.embedder, FeatureRow.vector)
        .join(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        # "+ 0" keeps SQLite from going through all candidates of the project, of which few are picks.
        .where(CandidateRow.id.in_(select(PickRow.candidate_id)), CandidateRow.project_id + 0 == owner)
    )


def _vectors(catalog: Catalog, query: Select[tuple[str, str, bytes]]) -> dict[str, _Vectors]:
    """By embedder."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    with catalog.read() as session:
        for shot_id, embedder, vector in session.execute(query):
            found.setdefault(embedder, []).append((shot_id, vector))
    return {
        embedder: _Vectors(
            [one for one, _ in pairs],
            np.stack([np.frombuffer(part, np.float16) for _, part in pairs]).astype(np.float32),
        )
        for embedder, pairs in found.items()
    }
