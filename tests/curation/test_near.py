"""Near hashes are found by looking up parts of them, and none is missed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.curation import near
from bootstrap.curation.near import HashIndex, all_near


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
def test_comparing_all_finds_all(seed, radius, count):
    known, queries = hashes(count, seed), hashes(9, seed)
    assert pairs(all_near(queries, known, radius)) == plainly(queries, known, radius)
    assert pairs(HashIndex(known, radius).near(queries)) == plainly(queries, known, radius)


@given(seed=st.integers(0, 10**6), radius=st.integers(2, 10), parts=st.integers(4, 7))
@settings(max_examples=12, deadline=None)
def test_tables_find_all_whatever_the_number_of_parts(seed, radius, parts):
    known = hashes(80, seed)
    index = HashIndex(known, radius)
    with pytest.MonkeyPatch.context() as patch:
        index._tables = near._tables(known, radius, min(parts, radius + 1))
        patch.setattr(near, "_AT_ONCE", 7)  # so that what one look-up finds comes in several parts
        assert pairs(index.near(known)) == plainly(known, known, radius)


def test_hashes_that_share_most_bits_are_found_too():
    """As those of one project do: its pictures share a composition."""
    known = hashes(300, 1) & np.uint64(0xFFFF)
    index = HashIndex(known, 3)
    index._tables = near._tables(known, 3, 3)
    assert pairs(index.near(known)) == plainly(known, known, 3)


def test_tables_are_taken_where_they_pay():
    assert HashIndex(hashes(20_000, 2), 8)._tables
    assert not HashIndex(hashes(20_000, 2), 40)._tables
    assert not HashIndex(hashes(100, 2), 8)._tables
