"""Which pictures show again what is there already: pure functions over arrays of fingerprints.

Two pictures are the same one when their pHashes (or one's and the other's mirror's) are close *and* their
pixels agree everywhere. The hash is quick, so that only few pixels need comparing, but it sees gray and
coarse shapes only. The pixels decide: candidates of one project share a composition, and a small thing that
is gone or has another color makes another picture. Where a picture has so little texture that its hash is
chance, the pixels are compared alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Below this a hash says little (see hashing.texture_of): DOUBTFUL pictures are compared on pixels with all
# others below DOUBTFUL_TOO. The second is larger so that of two nearly equal pictures, one just below and
# one just above the first, none is missed.
DOUBTFUL = 0.25
DOUBTFUL_TOO = 0.5

# Pixels are compared block by block: 4 x 4 cells of the 32 x 32, an eighth of the picture's side, every 2.
BLOCK = 4
_STRIDE = 2

# The spread of gray levels (0 to 1) that pictures have at least; see `same_pixels`.
_USUAL_CONTRAST = 0.15

SmallOf = Callable[[int], "NDArray[np.uint8] | None"]


@dataclass(frozen=True)
class Limits:
    """When two pictures are the same one: the settings of `[dedupe]`."""

    distance: int  # bits that two hashes may differ in
    pixel_difference: float  # RMS, 0 to 1, that the pixels of the worst block may differ by


@dataclass(frozen=True)
class Prints:
    """The fingerprints of n pictures, without their pixels."""

    phash: NDArray[np.uint64]  # (n,)
    phash_mirrored: NDArray[np.uint64]  # (n,)
    texture: NDArray[np.float64]  # (n,)

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, float]]) -> "Prints":
        """Make them from (phash, phash_mirrored, texture) of each picture."""
        return cls(
            np.array([row[0] for row in rows], dtype=np.uint64),
            np.array([row[1] for row in rows], dtype=np.uint64),
            np.array([row[2] for row in rows], dtype=np.float64),
        )


def hamming(one: np.uint64, others: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return in how many of 64 bits a hash differs from each of (n,) others."""
    return np.bitwise_count(np.bitwise_xor(one, others))


def pixel_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the RMS difference of two small copies in the block where they differ most, 0 to 1.

    Over the whole picture the average would hide that an apple is gone: it fills a hundredth of it.
    """
    squared = ((one.astype(np.float64) - other) ** 2).mean(axis=2) / 255**2
    blocks = np.lib.stride_tricks.sliding_window_view(squared, (BLOCK, BLOCK))[::_STRIDE, ::_STRIDE]
    return float(np.sqrt(blocks.mean(axis=(2, 3)).max()))


def same_pixels(one: NDArray[np.uint8], other: NDArray[np.uint8], limit: float) -> bool:
    """Whether two small copies differ nowhere by more than `limit`, which shrinks with their contrast.

    In a dark or pale picture all differences are small; measured by its own contrast, they are not.
    """
    contrast = max(one.std(axis=(0, 1)).mean(), other.std(axis=(0, 1)).mean()) / 255
    return pixel_difference(one, other) <= limit * min(1.0, max(0.1, contrast / _USUAL_CONTRAST))


def look_alikes(prints: Prints, first_new: int, small_of: SmallOf, limits: Limits) -> dict[int, int]:
    """Return for each new picture that shows an earlier one again the index of that one.

    Pictures are taken in order. Each new one is compared with all before it that are no duplicates
    themselves, so that of a group of look-alikes the first stays; a duplicate's own look-alikes are not
    drawn in, so nothing is lost by a chain of small steps.

    Args:
        prints: first the pictures that stay in any case (none a duplicate), then the new ones in order.
        first_new: index of the first new one.
        small_of: gives the small copy of the picture at an index, None if it cannot be read any more; then
            nothing is a duplicate of it.
        limits: how close the same picture is.
    """
    found: dict[int, int] = {}
    total = len(prints.phash)
    stays = np.ones(total, dtype=bool)
    for new in range(first_new, total):
        match = _first_match(prints, new, stays, small_of, limits)
        if match is not None:
            found[new] = match
            stays[new] = False
    return found


def _first_match(
    prints: Prints, new: int, stays: NDArray[np.bool_], small_of: SmallOf, limits: Limits
) -> int | None:
    before = prints.phash[:new]
    straight = hamming(prints.phash[new], before) <= limits.distance
    mirrored = hamming(prints.phash_mirrored[new], before) <= limits.distance
    if prints.texture[new] < DOUBTFUL_TOO:
        # One of the two is doubtful, the other at least nearly.
        doubtful = (prints.texture[:new] < DOUBTFUL_TOO) & (
            np.minimum(prints.texture[:new], prints.texture[new]) < DOUBTFUL
        )
        straight, mirrored = straight | doubtful, mirrored | doubtful
    near = np.flatnonzero((straight | mirrored) & stays[:new])
    if not len(near):
        return None
    mine = small_of(new)
    if mine is None:
        return None
    for index in near:
        other = small_of(int(index))
        if other is None:
            continue
        ways = [mine] if straight[index] else []
        ways += [mine[:, ::-1]] if mirrored[index] else []
        if any(same_pixels(way, other, limits.pixel_difference) for way in ways):
            return int(index)
    return None
