"""Going through a review queue that is ranked anew as verdicts come."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bootstrap.curation.ranking import RankedCandidate, arrange_queue, learn_likelihoods

RANKED_EVERY = 5  # verdicts


def go_through(
    rows: list[RankedCandidate], vectors: NDArray[np.float32], wanted: dict[int, bool]
) -> list[int]:
    """Decide on the rows that are keys of `wanted`, in the queue's order; return their indices in this order."""
    rows, seen = list(rows), []
    while len(seen) < len(wanted):
        learned = learn_likelihoods(rows, vectors)
        left = np.array([index for index in wanted if rows[index].verdict == "undecided"])
        for position in arrange_queue(learned.likely[left], vectors[left], learned.is_learned)[:RANKED_EVERY]:
            index = int(left[position])
            rows[index] = replace(rows[index], verdict="accept" if wanted[index] else "reject")
            seen.append(index)
    return seen
