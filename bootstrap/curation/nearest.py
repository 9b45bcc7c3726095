"""Which picture of the dataset a candidate looks like most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bootstrap.catalog import Catalog, measurements
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.measurements import Vector


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
    picks = _by_embedder(measurements.vectors_of_picks(catalog, project))
    if not picks:
        return {}
    closeness = {one.id: one.scores.closeness or 0.0 for one in some}
    nearest = {}
    asked = _by_embedder(measurements.vectors_of(catalog, project, list(closeness)))
    for embedder, mine in asked.items():
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


def _by_embedder(vectors: Sequence[Vector]) -> dict[str, _Vectors]:
    pairs_of: dict[str, list[tuple[str, bytes]]] = {}
    for candidate_id, embedder, vector in vectors:
        pairs_of.setdefault(embedder, []).append((candidate_id, vector))
    return {
        embedder: _Vectors(
            [one for one, _ in pairs],
            np.stack([np.frombuffer(part, np.float16) for _, part in pairs]).astype(np.float32),
        )
        for embedder, pairs in pairs_of.items()
    }
