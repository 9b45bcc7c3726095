"""All pairs of near hashes are found, each once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.curation.near import near


def hashes(count, seed, alike=0.5):
    """Return random hashes, every second of which differs from an earlier one in up to 12 bits."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**64, count, dtype=np.uint64)
    for new in range(1, count, 2):
        flipped_bits = rng.choice(64, rng.integers(0, 13), replace=False).astype(np.uint64)
        values[new] = values[rng.integers(0, new)] ^ np.bitwise_or.reduce(
            np.uint64(1) << flipped_bits, initial=np.uint64(0)
        )
    return values


def pairs(near_pairs):
    rows, columns = near_pairs
    listed = list(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(listed) == len(set(listed))  # each once
    return set(listed)


def plainly(queries, known, radius):
    return {
        (row, column)
        for row, query in enumerate(queries.tolist())
        for column, known_hash in enumerate(known.tolist())
        if (query ^ known_hash).bit_count() <= radius
    }


@given(seed=st.integers(0, 10**6), radius=st.integers(0, 64), count=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_all_near_pairs_are_found(seed, radius, count):
    known, queries = hashes(count, seed), hashes(9, seed)
    assert pairs(near(queries, known, radius)) == plainly(queries, known, radius)


def test_more_hashes_than_are_compared_at_once_are_compared_in_parts():
    known = hashes(40_000, 1)
    queries = known[[0, 39_999, 16_384] * 40]
    near_pairs = pairs(near(queries, known, 5))
    assert near_pairs == {
        (row + 3 * time, column) for row, column in plainly(queries[:3], known, 5) for time in range(40)
    }
