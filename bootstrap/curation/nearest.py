"""Find the pick that each candidate resembles most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bootstrap.catalog import Catalog, measurements
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.measurements import Vector


@dataclass(frozen=True)
class _Vectors:
    """The vectors of candidates by one embedder."""

    ids: list[str]
    rows: NDArray[np.float32]  # (n, d), each of length 1


def nearest_picks(catalog: Catalog, project: str, candidates: Sequence[Candidate]) -> dict[str, str]:
    """Return {id of a candidate: id of the pick that it resembles most}.

    Candidates nearer to the original than to any pick are left out, and so are those without a vector (see
    bootstrap.curation.scoring).
    """
    picks = _by_embedder(measurements.vectors_of_picks(catalog, project))
    if not picks:
        return {}
    closeness = {candidate.id: candidate.scores.closeness or 0.0 for candidate in candidates}
    nearest = {}
    candidate_vectors = _by_embedder(measurements.vectors_of(catalog, project, list(closeness)))
    for embedder, vectors in candidate_vectors.items():
        if embedder not in picks:
            continue
        pick_vectors = picks[embedder]
        cosines = vectors.rows @ pick_vectors.rows.T
        is_itself = np.array(vectors.ids)[:, None] == np.array(pick_vectors.ids)[None, :]
        cosines[is_itself] = -np.inf
        for candidate_id, best, cosine in zip(
            vectors.ids, cosines.argmax(axis=1), cosines.max(axis=1), strict=True
        ):
            if cosine > closeness[candidate_id]:
                nearest[candidate_id] = pick_vectors.ids[best]
    return nearest


def _by_embedder(vectors: Sequence[Vector]) -> dict[str, _Vectors]:
    pairs_of: dict[str, list[tuple[str, bytes]]] = {}
    for candidate_id, embedder, vector in vectors:
        pairs_of.setdefault(embedder, []).append((candidate_id, vector))
    return {
        embedder: _Vectors(
            [candidate_id for candidate_id, _ in pairs],
            _stacked([part for _, part in pairs]),
        )
        for embedder, pairs in pairs_of.items()
    }


def _stacked(parts: Sequence[bytes]) -> NDArray[np.float32]:
    """Return vectors of one embedder: (n, width)."""
    vectors = [np.frombuffer(measurements.whole(part, -2, "a vector"), np.float16) for part in parts]
    if len({len(vector) for vector in vectors}) > 1:
        raise measurements.damaged("a vector is of another length than the others of its embedder")
    return np.stack(vectors).astype(np.float32)
