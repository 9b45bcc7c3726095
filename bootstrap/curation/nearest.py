"""Which picture of the dataset a candidate looks like most."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import select

from bootstrap.catalog import Catalog
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.tables import CandidateRow, FeatureRow, PickRow, ProjectRow


def nearest_picks(catalog: Catalog, project: str, some: Sequence[Candidate]) -> dict[str, str]:
    """Return {candidate's id: id of the pick that it looks like most}.

    Candidates that are nearer to the original than to any pick are left out, and so are those that have no vector
    (see bootstrap.curation.scoring).
    """
    picks = _vectors(catalog, project, None)
    mine = _vectors(catalog, project, [one.id for one in some]) if picks else {}
    nearest = {}
    for one in some:
        if one.id not in mine:
            continue
        embedder, vector = mine[one.id]
        cosines = {
            pick: float(vector @ other)
            for pick, (name, other) in picks.items()
            if name == embedder and pick != one.id
        }
        best = max(cosines, key=cosines.__getitem__, default=None)
        if best is not None and cosines[best] > (one.scores.closeness or 0.0):
            nearest[one.id] = best
    return nearest


def _vectors(
    catalog: Catalog, project: str, ids: Sequence[str] | None
) -> dict[str, tuple[str, np.ndarray[tuple[int], np.dtype[np.float32]]]]:
    """{id: (embedder, vector)} of these candidates, or of all picks."""
    query = (
        select(CandidateRow.shot_id, FeatureRow.embedder, FeatureRow.vector)
        .join(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project)
    )
    if ids is None:
        query = query.join(PickRow, PickRow.candidate_id == CandidateRow.id)
    else:
        query = query.where(CandidateRow.shot_id.in_(list(ids)))
    with catalog.read() as session:
        return {
            shot_id: (embedder, np.frombuffer(vector, np.float16).astype(np.float32))
            for shot_id, embedder, vector in session.execute(query)
        }
