"""Near hashes are found, each pair once, and none is missed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.curation.near import near


def hashes(count, seed, alike=0.5):
    """Random hashes, every second of which differs in up to 12 bits from an earlier one."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 2**64, count, dtype=np.uint64)
    for new in range(1, count, 2):
        turned = rng.choice(64, rng.integers(0, 13), replace=False).astype(np.uint64)
        made[new] = made[rng.integers(0, new)] ^ np.bitwise_or.reduce(
            np.uint64(1) << turned, initial=np.uint64(0)
        )
    return made


def pairs(found):
    rows, columns = found
    listed = list(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(listed) == len(set(listed))  # each once
    return set(listed)


def plainly(queries, known, radius):
    return {
        (row, column)
        for row, one in enumerate(queries.tolist())
        for column, other in enumerate(known.tolist())
        if (one ^ other).bit_count() <= radius
    }


@given(seed=st.integers(0, 10**6), radius=st.integers(0, 64), count=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_all_near_pairs_are_found(seed, radius, count):
    known, queries = hashes(count, seed), hashes(9, seed)
    assert pairs(near(queries, known, radius)) == plainly(queries, known, radius)


def test_more_hashes_than_are_compared_at_once_are_compared_in_parts():
    known = hashes(40_000, 1)
    queries = known[[0, 39_999, 16_384] * 40]
    found = pairs(near(queries, known, 5))
    assert found == {
        (row + 3 * time, column) for row, column in plainly(queries[:3], known, 5) for time in range(40)
    }
