"""Finding which of many 64-bit hashes differ in a few bits only: exactly, without comparing all with all.

Hashes that differ in r bits or fewer, cut into m parts, differ in r // m bits or fewer in one part at least. So each
part is looked up in a table, as it is and with every choice of so few bits turned; what is found there is compared
whole ("multi-index hashing", Norouzi, Punjani and Fleet, 2012). Where tables would not pay (few hashes, or a large
radius), all are compared with all.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BITS = 64
_MOST_KEY_BITS = 22  # a table has 2 to this many entries, of 4 bytes
_AT_ONCE = 1 << 20  # comparisons held in memory at a time
# What one step costs, in ns, measured on one slow core; only their ratio matters, for choosing the way.
_LOOK_UP, _COMPARE_FOUND, _COMPARE_ALL = 20.0, 15.0, 2.0

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class _Table:
    """One part of all hashes, ready to be looked up."""

    bits: NDArray[np.int64]  # which bits of a hash are this part's, counted from the lowest
    part: np.uint64  # the same as a mask
    radius: int  # in how many of them two hashes may differ to be found here
    starts: NDArray[np.int32]  # (2**len(bits) + 1,): where the hashes with this key start, in the next two
    order: NDArray[np.int32]  # (n,) indices of the hashes, by key
    hashes: NDArray[np.uint64]  # (n,) the hashes in this order

    @property
    def turned(self) -> list[int]:
        """All keys with up to `radius` bits set."""
        places = range(len(self.bits))
        return [
            sum(1 << place for place in chosen)
            for count in range(self.radius + 1)
            for chosen in itertools.combinations(places, count)
        ]


class HashIndex:
    """Answers which of n hashes are within a radius of others; n up to 2**31."""

    def __init__(self, hashes: NDArray[np.uint64], radius: int) -> None:
        """Prepare (n,) hashes to be searched with a radius of 0 to 64 bits."""
        self.radius = radius
        self._hashes = hashes
        self._tables = _tables(hashes, radius, _parts(len(hashes), radius))

    def __len__(self) -> int:
        return len(self._hashes)

    def near(self, queries: NDArray[np.uint64]) -> Pairs:
        """Return all pairs (index of a query, index of a hash) that differ in `radius` bits or fewer, unordered."""
        if not self._tables:
            return all_near(queries, self._hashes, self.radius)
        found: list[Pairs] = []
        for number, table in enumerate(self._tables):
            earlier = self._tables[:number]
            keys = _keys(queries, table.bits)
            by_key = np.argsort(keys, kind="stable")  # then neighbours look up neighbours, which caches like
            keys, sorted_queries = keys[by_key], queries[by_key]
            for turn in table.turned:
                for rows, places in _looked_up(table.starts, keys ^ turn):
                    differing = sorted_queries[rows] ^ table.hashes[places]
                    hits = np.flatnonzero(np.bitwise_count(differing) <= self.radius)
                    if len(hits):
                        hits = hits[_unseen(differing[hits], earlier)]
                        found.append((by_key[rows[hits]], table.order[places[hits]].astype(np.int64)))
        return _joined(found)


def all_near(queries: NDArray[np.uint64], hashes: NDArray[np.uint64], radius: int) -> Pairs:
    """Do as HashIndex.near, comparing all with all: for few hashes, or a large radius."""
    found: list[Pairs] = []
    width = 1 << 14
    height = max(1, _AT_ONCE // width)
    for first in range(0, len(hashes), width):
        part = hashes[first : first + width]
        for top in range(0, len(queries), height):
            distance = np.bitwise_count(queries[top : top + height, None] ^ part[None])
            rows, columns = np.nonzero(distance <= radius)
            found.append((rows + top, columns + first))
    return _joined(found)


def _joined(found: list[Pairs]) -> Pairs:
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([rows for rows, _ in found]), np.concatenate([columns for _, columns in found])


def _parts(count: int, radius: int) -> int:
    """Into how many parts to cut hashes so that a look-up is cheapest; 0: compare all with all."""
    costs = {0: count * _COMPARE_ALL}
    for parts in range(math.ceil(_BITS / _MOST_KEY_BITS), min(radius + 1, _BITS) + 1):
        length = _BITS / parts
        turns = sum(
            math.comb(round(length), bits) for own in _radii(radius, parts) for bits in range(own + 1)
        )
        costs[parts] = turns * (_LOOK_UP + count / 2**length * _COMPARE_FOUND)
    return min(costs, key=lambda parts: costs[parts])


def _radii(radius: int, parts: int) -> list[int]:
    """The radius of each part: hashes that differ in more bits than that in every part differ in more than `radius`."""
    each, more = divmod(radius + 1, parts)
    return [each - (part >= more) for part in range(parts)]


def _tables(hashes: NDArray[np.uint64], radius: int, parts: int) -> list[_Table]:
    if not parts:
        return []
    # Bits that are nearly always the same tell nothing apart: each part gets its share of them.
    step = max(1, len(hashes) // 10_000)
    shares = np.array([((hashes[::step] >> np.uint64(bit)) & np.uint64(1)).mean() for bit in range(_BITS)])
    telling = np.argsort(np.abs(shares - 0.5), kind="stable")
    return [_table(hashes, telling[part::parts], own) for part, own in enumerate(_radii(radius, parts))]


def _table(hashes: NDArray[np.uint64], bits: NDArray[np.int64], radius: int) -> _Table:
    keys = _keys(hashes, bits)
    order = np.argsort(keys, kind="stable").astype(np.int32)
    starts = np.zeros(2 ** len(bits) + 1, np.int32)
    np.cumsum(np.bincount(keys, minlength=2 ** len(bits)), out=starts[1:])
    part = np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64))
    return _Table(bits, part, radius, starts, order, hashes[order])


def _keys(hashes: NDArray[np.uint64], bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """The given bits of each hash, packed into a number."""
    keys = np.zeros(len(hashes), np.uint64)
    for place, bit in enumerate(bits.astype(np.uint64)):
        keys |= ((hashes >> bit) & np.uint64(1)) << np.uint64(place)
    return keys.astype(np.int64)


def _looked_up(starts: NDArray[np.int32], keys: NDArray[np.int64]) -> Iterator[Pairs]:
    """Yield (positions in keys, places in the table) of all that is found, some _AT_ONCE at a time."""
    first = starts[keys]
    counts = starts[keys + 1] - first
    full = np.flatnonzero(counts)
    first, counts = first[full].astype(np.int64), counts[full].astype(np.int64)
    ends = np.cumsum(counts)
    low = 0
    while low < len(full):
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        here = counts[low:high]
        places = np.arange(ends[high - 1] - before) + np.repeat(
            first[low:high] - (ends[low:high] - here - before), here
        )
        yield np.repeat(full[low:high], here), places
        low = high


def _unseen(differing: NDArray[np.uint64], earlier: list[_Table]) -> NDArray[np.bool_]:
    """Which pairs none of the earlier tables has found already."""
    unseen = np.ones(len(differing), bool)
    for table in earlier:
        unseen &= np.bitwise_count(differing & table.part) > table.radius
    return unseen
