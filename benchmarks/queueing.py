"""Simulate a review whose queue is reranked after every few verdicts."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bootstrap.catalog.states import Verdict
from bootstrap.curation.ranking import RankedCandidate, arrange, learn

RANKED_EVERY = 5  # verdicts


def go_through(
    rows: list[RankedCandidate], vectors: NDArray[np.float32], wanted: dict[int, bool]
) -> list[int]:
    """Decide on the rows that are keys of `wanted`, in the order of the queue; return their indices in this order."""
    rows, reviewed = list(rows), []
    while len(reviewed) < len(wanted):
        learned = learn(rows, vectors)
        undecided = np.array([index for index in wanted if rows[index].verdict is Verdict.UNDECIDED])
        queue = arrange(learned.likely[undecided], vectors[undecided], learned.is_learned)
        for position in queue[:RANKED_EVERY]:
            index = int(undecided[position])
            verdict = Verdict.ACCEPT if wanted[index] else Verdict.REJECT
            rows[index] = replace(rows[index], verdict=verdict)
            reviewed.append(index)
    return reviewed
