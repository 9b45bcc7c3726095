"""Which pictures show again what is there already: pure functions over arrays of fingerprints.

Two pictures are the same one when their pHashes (or one's and the other's mirror's) are close *and* their
pixels agree everywhere. The hash is quick, so that only few pixels need comparing, but it sees gray and
coarse shapes only. The pixels decide: candidates of one project share a composition, and a small thing that
is gone or has another color makes another picture. Where a picture has so little texture that its hash is
chance, the pixels are compared alone. Most pairs that are near by their hashes only are told apart by the
averages of a few cells, so that few small copies need reading.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bootstrap.curation.alignment import LEAST_GAIN, MOST_GAIN, lay_upon
from bootstrap.curation.near import near
from bootstrap.pictures.hashing import COARSE_SIDE, SMALL_SIDE, Fingerprint, coarse_copy

# Below this a hash says little (see hashing.texture_of): DOUBTFUL pictures are compared on pixels with all
# others below DOUBTFUL_TOO. The second is larger so that of two nearly equal pictures, one just below and
# one just above the first, none is missed.
DOUBTFUL = 0.25
DOUBTFUL_TOO = 0.5

# Pixels are compared block by block: 4 x 4 cells of the 32 x 32, an eighth of the picture's side, every 2.
# The cells of the coarse copy are such blocks.
BLOCK = SMALL_SIDE // COARSE_SIDE
_STRIDE = 2

_NEW_AT_ONCE = 1 << 12  # new pictures whose pairs are held in memory at a time
_PAIRS_AT_ONCE = 1 << 16

# The spread of gray levels (0 to 1) that pictures have at least; see `visible_difference`.
_USUAL_CONTRAST = 0.15

# What smoothing leaves of a difference, at least. Of 150 scenes cropped by up to 3 % on each side, none was left with
# more than 0.045 of difference, and none with a thing gone with less than 0.08.
_SMOOTHED = 0.5
_MOVED_CELLS = (
    1.5  # times the limit, by which averages of cells may differ where pictures are then laid upon each other
)
_LEAST_LEVELS = 4.0  # that such averages spread over
_FAR = 4.5  # times the limit: beyond, no crop and no tone that is looked for explains a difference

SmallOf = Callable[[int], "NDArray[np.uint8] | None"]


@dataclass(frozen=True)
class Limits:
    """When two pictures are the same one: the settings of `[dedupe]`."""

    distance: int  # bits that two hashes may differ in
    pixel_difference: float  # RMS, 0 to 1, that the pixels of the worst block may differ by


@dataclass(frozen=True)
class Prints:
    """The fingerprints of n pictures, without their small copies."""

    image_hash: NDArray[np.uint64]  # (n,)
    image_hash_mirrored: NDArray[np.uint64]  # (n,)
    texture: NDArray[np.float64]  # (n,)
    coarse: NDArray[np.uint8]  # (n, 64), see hashing.coarse_copy

    def __len__(self) -> int:
        return len(self.image_hash)

    @classmethod
    def of(cls, prints: Sequence[Fingerprint]) -> "Prints":
        """Gather fingerprints."""
        return cls(
            np.array([one.image_hash for one in prints], dtype=np.uint64),
            np.array([one.image_hash_mirrored for one in prints], dtype=np.uint64),
            np.array([one.texture for one in prints], dtype=np.float64),
            np.array([one.coarse for one in prints], dtype=np.uint8).reshape(-1, COARSE_SIDE**2),
        )

    def __add__(self, other: "Prints") -> "Prints":
        return Prints(
            np.concatenate([self.image_hash, other.image_hash]),
            np.concatenate([self.image_hash_mirrored, other.image_hash_mirrored]),
            np.concatenate([self.texture, other.texture]),
            np.concatenate([self.coarse, other.coarse]),
        )

    def __getitem__(self, chosen: slice | NDArray[np.int64] | NDArray[np.bool_]) -> "Prints":
        return Prints(
            self.image_hash[chosen],
            self.image_hash_mirrored[chosen],
            self.texture[chosen],
            self.coarse[chosen],
        )


def hamming(one: np.uint64, others: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return in how many of 64 bits a hash differs from each of (n,) others."""
    return np.bitwise_count(np.bitwise_xor(one, others))


def pixel_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the RMS difference of two small copies in the block where they differ most, 0 to 1.

    Over the whole picture the average would hide that an apple is gone: it fills a hundredth of it.
    """
    return _in_worst_block(one / 255, other / 255)


def visible_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the pixel difference of two small copies as a person sees it: more where there is little contrast.

    In a dark or pale picture all differences are small; measured by its own contrast, they are not. Of pictures with
    usual contrast it is `pixel_difference`, of others up to 10 times that.
    """
    return _visible(one / 255, other / 255)


def _difference_laid(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    laid = lay_upon(one, other)
    return _visible(laid.one, laid.other) / (_SMOOTHED if laid.is_moved else 1)


def _visible(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    contrast = max(one.std(axis=(0, 1)).mean(), other.std(axis=(0, 1)).mean())
    return _in_worst_block(one, other) / min(1.0, max(0.1, contrast / _USUAL_CONTRAST))


def _in_worst_block(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    squared = ((one - other) ** 2).mean(axis=2)
    blocks = np.lib.stride_tricks.sliding_window_view(squared, (BLOCK, BLOCK))[::_STRIDE, ::_STRIDE]
    return float(np.sqrt(blocks.mean(axis=(2, 3)).max()))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8], limit: float) -> float:
    """Return how much two small copies differ as a person sees it; the same picture: not more than `limit`.

    One of them may be cropped by a few hundredths or brightened by a fifth: where `visible_difference` alone does not
    make them the same, they are compared laid upon each other (see bootstrap.curation.alignment).
    """
    as_they_are = visible_difference(one, other)
    if as_they_are <= limit or as_they_are > _FAR * limit:
        return as_they_are
    cells = _off_in_tone_aside(coarse_copy(one)[None], coarse_copy(other)[None])
    if cells[0] > _most_off_moved(limit):
        return as_they_are
    laid = _difference_laid(one, other)
    if laid > limit:  # the other way round it may fit: one of the two has edges that the other lacks
        laid = min(laid, _difference_laid(other, one))
    return min(as_they_are, laid)


def same_pixels(one: NDArray[np.uint8], other: NDArray[np.uint8], limit: float) -> bool:
    """Whether two small copies show the same; see difference."""
    return difference(one, other, limit) <= limit


def look_alikes(
    prints: Prints,
    first_new: int,
    small_of: SmallOf,
    limits: Limits,
    apart: Collection[tuple[int, int]] = frozenset(),
) -> dict[int, int]:
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
        apart: pairs (new, earlier) that are two pictures whatever they look like.
    """
    found: dict[int, int] = {}
    for new, old, is_mirrored in near_pairs(prints, limits, first_new):
        if new in found or old in found or (new, old) in apart:
            continue
        mine, other = small_of(new), small_of(old)
        if mine is None or other is None:
            continue
        if same_pixels(mine[:, ::-1] if is_mirrored else mine, other, limits.pixel_difference):
            found[new] = old
    return found


def near_pairs(prints: Prints, limits: Limits, first_new: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Yield (new, earlier, whether mirrored) of all pairs that may be the same, in order of new, then earlier."""
    hazy = np.flatnonzero(prints.texture < DOUBTFUL_TOO)
    for start in range(first_new, len(prints), _NEW_AT_ONCE):
        new = np.arange(start, min(start + _NEW_AT_ONCE, len(prints)))
        parts = []
        for is_mirrored, hashes in ((False, prints.image_hash), (True, prints.image_hash_mirrored)):
            rows, old = near(hashes[new], prints.image_hash[: new[-1] + 1], limits.distance)
            parts.append(_alike_by_cells(prints, new[rows], old, is_mirrored, limits))
            for one in new[prints.texture[new] < DOUBTFUL_TOO]:
                # Of the two one is doubtful, the other at least nearly: the hash must not decide.
                before = hazy[hazy < one]
                if prints.texture[one] >= DOUBTFUL:
                    before = before[prints.texture[before] < DOUBTFUL]
                parts.append(_alike_by_cells(prints, np.full(len(before), one), before, is_mirrored, limits))
        everything = np.concatenate(parts)
        for row in everything[np.lexsort((everything[:, 2], everything[:, 1], everything[:, 0]))].tolist():
            yield row[0], row[1], bool(row[2])


def _alike_by_cells(
    prints: Prints, new: NDArray[np.int64], old: NDArray[np.int64], is_mirrored: bool, limits: Limits
) -> NDArray[np.int64]:
    """Of pairs the earlier of which comes first, those that `same_pixels` may take for the same: (k, 3).

    No two blocks differ less (RMS) than their averages do, so none of those is lost that are the same as they are.
    Cells are rounded to whole levels, and so are the small copies' pixels.
    """
    limit = limits.pixel_difference * 255 + 1
    kept = []
    for first in range(0, len(new), _PAIRS_AT_ONCE):
        part = slice(first, first + _PAIRS_AT_ONCE)
        left, right = new[part], old[part]
        left, right = left[right < left], right[right < left]
        mine = prints.coarse[left]
        if is_mirrored:
            mine = mine.reshape(-1, COARSE_SIDE, COARSE_SIDE)[:, :, ::-1].reshape(-1, COARSE_SIDE**2)
        other = prints.coarse[right]
        close = (np.maximum(mine, other) - np.minimum(mine, other)).max(axis=1, initial=0) <= limit
        doubtful = np.flatnonzero(~close)
        toned = _off_in_tone_aside(mine[doubtful], other[doubtful])
        close[doubtful[toned <= _most_off_moved(limits.pixel_difference)]] = True
        left, right = left[close], right[close]
        kept.append(np.stack([left, right, np.full(len(left), int(is_mirrored))], axis=1))
    return np.concatenate(kept) if kept else np.zeros((0, 3), np.int64)


def _most_off_moved(limit: float) -> float:
    """By how many levels the cells may differ that are then laid upon each other."""
    return _MOVED_CELLS * (limit * 255 + 1)


def _off_in_tone_aside(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """By how many levels coarse copies (k, 64) differ in their worst cell, one brightened like the other.

    Of flat ones the brightness is all there is: they differ infinitely.
    """
    mine, theirs = one.astype(np.float32), other.astype(np.float32)
    mine -= mine.mean(axis=1, keepdims=True)
    theirs -= theirs.mean(axis=1, keepdims=True)
    spread = np.maximum((mine**2).sum(axis=1, keepdims=True), 1)
    gain = np.clip((mine * theirs).sum(axis=1, keepdims=True) / spread, LEAST_GAIN, MOST_GAIN)
    off: NDArray[np.float32] = np.abs(gain * mine - theirs).max(axis=1, initial=0)
    off[np.minimum(mine.std(axis=1), theirs.std(axis=1)) < _LEAST_LEVELS] = np.inf
    return off
