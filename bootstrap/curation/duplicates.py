"""Find the duplicates among pictures: pure functions over arrays of fingerprints.

Two pictures are duplicates if their pHashes (or the pHash of one and of the other's mirror image) are close *and* their
pixels agree everywhere. The hash is fast, so that only few pixels need comparing, but it sees only gray and coarse
shapes. The pixels decide: candidates of one project share a composition, and a small thing that is missing or has
another color makes a different picture. Where a picture has so little texture that its hash is random, only the pixels
are compared. Averages over cells rule out most pairs whose hashes alone are close, so that few small copies need
reading.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bootstrap.curation.alignment import LEAST_GAIN, MOST_GAIN, lay_upon
from bootstrap.curation.near import near
from bootstrap.pictures.hashing import COARSE_SIDE, SMALL_SIDE, Fingerprint, coarse_copy

# Below this texture a hash says little (see hashing.texture_of): the pixels of DOUBTFUL pictures are compared with
# those of all others below DOUBTFUL_TOO. The second limit is larger so that two nearly equal pictures on both sides of
# the first limit are still compared.
DOUBTFUL = 0.25
DOUBTFUL_TOO = 0.5

# Pixels are compared in blocks of 4 x 4 of the 32 x 32 cells, an eighth of the picture's side, at every second cell.
# The cells of the coarse copy are such blocks.
BLOCK = SMALL_SIDE // COARSE_SIDE
_STRIDE = 2

_NEW_AT_ONCE = 1 << 12  # new pictures whose pairs are held in memory at a time
_PAIRS_AT_ONCE = 1 << 16

# The least contrast (standard deviation of values, 0 to 1) of usual pictures; see `visible_difference`.
_USUAL_CONTRAST = 0.15

# The least share of a difference that smoothing preserves. Of 150 scenes cropped by up to 3 % on each side, none kept a
# difference above 0.045, and none that lacked a thing had one below 0.08.
_SMOOTHED = 0.5
_MOVED_CELLS = 1.5  # how many times the limit the averages of cells may differ by before pictures are aligned
_LEAST_LEVELS = 4.0  # least standard deviation of such averages, in levels (0 to 255)
_FAR = 4.5  # times the limit: no crop or tone in the range of the alignment explains a larger difference

SmallOf = Callable[[int], "NDArray[np.uint8] | None"]


@dataclass(frozen=True)
class Limits:
    """When two pictures are duplicates: the settings of `[dedupe]`."""

    distance: int  # most bits that two hashes may differ in
    pixel_difference: float  # largest RMS difference of the worst block's pixels, 0 to 1


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
        """Gather the fingerprints of single pictures."""
        return cls(
            np.array([fingerprint.image_hash for fingerprint in prints], dtype=np.uint64),
            np.array([fingerprint.image_hash_mirrored for fingerprint in prints], dtype=np.uint64),
            np.array([fingerprint.texture for fingerprint in prints], dtype=np.float64),
            np.array([fingerprint.coarse for fingerprint in prints], dtype=np.uint8).reshape(
                -1, COARSE_SIDE**2
            ),
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


def hamming(image_hash: np.uint64, others: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return the number of bits, 0 to 64, in which a hash differs from each of (n,) others."""
    return np.bitwise_count(np.bitwise_xor(image_hash, others))


def pixel_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the RMS difference of two small copies in the block where they differ most, 0 to 1.

    An average over the whole picture would hide a missing apple, which fills only a hundredth of it.
    """
    return _in_worst_block(first / 255, second / 255)


def visible_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the pixel difference of two small copies as a person sees it: larger at low contrast.

    In a dark or pale picture all differences are small, though not relative to its contrast. For pictures of usual
    contrast the result is `pixel_difference`, for others up to 10 times that.
    """
    return _visible(first / 255, second / 255)


def _aligned_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    aligned = lay_upon(first, second)
    return _visible(aligned.first, aligned.second) / (_SMOOTHED if aligned.is_moved else 1)


def _visible(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    contrast = max(first.std(axis=(0, 1)).mean(), second.std(axis=(0, 1)).mean())
    return _in_worst_block(first, second) / min(1.0, max(0.1, contrast / _USUAL_CONTRAST))


def _in_worst_block(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    squared = ((first - second) ** 2).mean(axis=2)
    blocks = np.lib.stride_tricks.sliding_window_view(squared, (BLOCK, BLOCK))[::_STRIDE, ::_STRIDE]
    return float(np.sqrt(blocks.mean(axis=(2, 3)).max()))


def difference(first: NDArray[np.uint8], second: NDArray[np.uint8], limit: float) -> float:
    """Return how much two small copies differ as a person sees it; duplicates differ by at most `limit`.

    One of them may be cropped by a few percent or brightened by a fifth: where `visible_difference` alone exceeds the
    limit, they are also compared aligned (see bootstrap.curation.alignment).
    """
    unaligned = visible_difference(first, second)
    if unaligned <= limit or unaligned > _FAR * limit:
        return unaligned
    worst_cells = _worst_cell_difference(coarse_copy(first)[None], coarse_copy(second)[None])
    if worst_cells[0] > _cell_limit_when_aligned(limit):
        return unaligned
    aligned = _aligned_difference(first, second)
    if aligned > limit:  # try the other direction too: one of the two has edges that the other lacks
        aligned = min(aligned, _aligned_difference(second, first))
    return min(unaligned, aligned)


def same_pixels(first: NDArray[np.uint8], second: NDArray[np.uint8], limit: float) -> bool:
    """Return whether two small copies show the same picture; see difference."""
    return difference(first, second, limit) <= limit


def look_alikes(
    prints: Prints,
    first_new: int,
    small_of: SmallOf,
    limits: Limits,
    apart: Collection[tuple[int, int]] = frozenset(),
) -> dict[int, int]:
    """Return {index of a duplicate: index of the earlier picture that it duplicates} for the new pictures.

    Each new picture, in order, is compared with all earlier ones that are no duplicates themselves. So the first of a
    group of look-alikes stays, and pictures that resemble only a duplicate stay too: a chain of small steps hides
    nothing.

    Args:
        prints: first the pictures that stay in any case (none a duplicate), then the new ones in order.
        first_new: index of the first new picture.
        small_of: returns the small copy of the picture at an index, or None if it cannot be read any more; then
            nothing is a duplicate of it.
        limits: when two pictures are duplicates.
        apart: pairs (new, earlier) that are no duplicates, whatever they look like.
    """
    duplicate_of: dict[int, int] = {}
    for new, old, is_mirrored in near_pairs(prints, limits, first_new):
        if new in duplicate_of or old in duplicate_of or (new, old) in apart:
            continue
        new_small, old_small = small_of(new), small_of(old)
        if new_small is None or old_small is None:
            continue
        if same_pixels(new_small[:, ::-1] if is_mirrored else new_small, old_small, limits.pixel_difference):
            duplicate_of[new] = old
    return duplicate_of


def near_pairs(prints: Prints, limits: Limits, first_new: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Yield (new, earlier, whether mirrored) for all pairs that may be duplicates, ordered by new, then earlier."""
    low_texture = np.flatnonzero(prints.texture < DOUBTFUL_TOO)
    for start in range(first_new, len(prints), _NEW_AT_ONCE):
        new = np.arange(start, min(start + _NEW_AT_ONCE, len(prints)))
        parts = []
        for is_mirrored, hashes in ((False, prints.image_hash), (True, prints.image_hash_mirrored)):
            rows, old = near(hashes[new], prints.image_hash[: new[-1] + 1], limits.distance)
            parts.append(_alike_by_cells(prints, new[rows], old, is_mirrored, limits))
            for index in new[prints.texture[new] < DOUBTFUL_TOO]:
                # One of the pair is doubtful and the other at least nearly so: the hash must not decide.
                earlier = low_texture[low_texture < index]
                if prints.texture[index] >= DOUBTFUL:
                    earlier = earlier[prints.texture[earlier] < DOUBTFUL]
                parts.append(
                    _alike_by_cells(prints, np.full(len(earlier), index), earlier, is_mirrored, limits)
                )
        pairs = np.concatenate(parts)
        for row in pairs[np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))].tolist():
            yield row[0], row[1], bool(row[2])


def _alike_by_cells(
    prints: Prints, new: NDArray[np.int64], old: NDArray[np.int64], is_mirrored: bool, limits: Limits
) -> NDArray[np.int64]:
    """Return the pairs (k, 3) with an earlier `old` picture that `same_pixels` may find to be duplicates.

    The RMS difference of two blocks is at least the difference of their averages, so no pair is lost that agrees
    without alignment. Cells are rounded to whole levels, and so are the small copies' pixels.
    """
    limit = limits.pixel_difference * 255 + 1
    alike = []
    for first in range(0, len(new), _PAIRS_AT_ONCE):
        chunk = slice(first, first + _PAIRS_AT_ONCE)
        later, earlier = new[chunk], old[chunk]
        later, earlier = later[earlier < later], earlier[earlier < later]
        new_cells = prints.coarse[later]
        if is_mirrored:
            new_cells = new_cells.reshape(-1, COARSE_SIDE, COARSE_SIDE)[:, :, ::-1].reshape(
                -1, COARSE_SIDE**2
            )
        old_cells = prints.coarse[earlier]
        close = (np.maximum(new_cells, old_cells) - np.minimum(new_cells, old_cells)).max(
            axis=1, initial=0
        ) <= limit
        doubtful = np.flatnonzero(~close)
        worst_cells = _worst_cell_difference(new_cells[doubtful], old_cells[doubtful])
        close[doubtful[worst_cells <= _cell_limit_when_aligned(limits.pixel_difference)]] = True
        later, earlier = later[close], earlier[close]
        alike.append(np.stack([later, earlier, np.full(len(later), int(is_mirrored))], axis=1))
    return np.concatenate(alike) if alike else np.zeros((0, 3), np.int64)


def _cell_limit_when_aligned(limit: float) -> float:
    """Return by how many levels (0 to 255) cells may differ for pictures to be aligned."""
    return _MOVED_CELLS * (limit * 255 + 1)


def _worst_cell_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return by how many levels coarse copies (k, 64) differ in their worst cell once their tones match: (k,).

    A flat picture is nothing but its tone: its difference is infinite.
    """
    moved, fixed = first.astype(np.float32), second.astype(np.float32)
    moved -= moved.mean(axis=1, keepdims=True)
    fixed -= fixed.mean(axis=1, keepdims=True)
    spread = np.maximum((moved**2).sum(axis=1, keepdims=True), 1)
    gain = np.clip((moved * fixed).sum(axis=1, keepdims=True) / spread, LEAST_GAIN, MOST_GAIN)
    worst: NDArray[np.float32] = np.abs(gain * moved - fixed).max(axis=1, initial=0)
    worst[np.minimum(moved.std(axis=1), fixed.std(axis=1)) < _LEAST_LEVELS] = np.inf
    return worst
