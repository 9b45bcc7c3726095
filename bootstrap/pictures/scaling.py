"""Scaling gray pictures down as Pillow does, to the last bit, in a third of the time.

Pillow's `resize` with LANCZOS is two weighted sums of whole numbers, along rows and then along columns, the first
rounded to 8 bits (`Resample.c`: weights of 22 bits after the point). Sums over a whole picture are a matrix product,
and the machine has fast ones for floats. Those are exact here: each weight is cut into two halves, so that all sums
stay whole numbers below 2**24, and float32 has a place for each of these.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LOBES = 3  # of the Lanczos window
_PRECISION = 22  # bits after the point of Pillow's weights
_HALF = 11
_TOGETHER = 4  # columns of one product: few, and it skips the zeros; many, and it runs at full speed
_EXACT = 2**24  # whole numbers up to this one have a float32
_MOST_PIXELS = 1 << 21  # beyond, most of the matrix would be zeros, and Pillow is quicker

_of_thread = threading.local()

_Way = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


@dataclass(frozen=True)
class _Band:
    """What the pixels of a part of a line weigh in _TOGETHER neighbouring ones that it is scaled to; the others: 0."""

    pixels: slice
    halves: NDArray[np.float32]  # (pixels, 2 * _TOGETHER): upper halves, then lower ones


@dataclass(frozen=True)
class _Weights:
    """What each pixel of a line weighs in each one of those that it is scaled to."""

    bands: list[_Band]
    rest: NDArray[np.int32]  # (side,): what is added to the sums: 128 times all weights, and 0.5 for rounding


def scaled(grays: Sequence[Image.Image], side: int) -> NDArray[np.uint8]:
    """Return pictures of mode L scaled to side x side: what Pillow's `resize` with LANCZOS gives.

    A few together are quicker than one by one: their sums are the same few products.

    Args:
        grays: of one size.

    Returns:
        (number of pictures, side, side)
    """
    width, height = grays[0].size
    way = None if width * height > _MOST_PIXELS else _way((width, height), side)
    if way is None:
        return np.stack([_by_pillow(gray, side) for gray in grays])
    return way(np.stack([np.asarray(gray) for gray in grays]), side)


def _by_pillow(gray: Image.Image, side: int) -> NDArray[np.uint8]:
    return np.asarray(gray.resize((side, side), Image.Resampling.LANCZOS))


@lru_cache(64)
def _way(size: tuple[int, int], side: int) -> _Way | None:
    """Which way gives what the installed Pillow gives for pictures of this size; None: neither, it may round otherwise.

    Pillow takes the columns of very high pictures first.
    """
    if min(size) <= side or any(_largest_sum(_weights(length, side)) >= _EXACT for length in size):
        return None
    noise = np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8)
    expected = _by_pillow(Image.fromarray(noise), side)
    return next((way for way in _WAYS if np.array_equal(way(noise[None], side)[0], expected)), None)


def _rows_first(grays: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(n, height, width) to (n, side, side)."""
    _, height, width = grays.shape
    rows = _summed(grays, _weights(width, side))
    return _turned(_summed(_turned(rows), _weights(height, side)))


def _columns_first(grays: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return _turned(_rows_first(_turned(grays), side))


def _turned(grays: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return grays.transpose(0, 2, 1)


def _summed(grays: NDArray[np.uint8], weights: _Weights) -> NDArray[np.uint8]:
    """The weighted sums of each of (n, m, length) lines, rounded to 8 bits: (n, m, side)."""
    lines = grays.reshape(-1, grays.shape[-1])
    centred = _room(lines.shape)
    np.subtract(lines, 128, out=centred, dtype=np.float32)  # so that sums are smaller
    sums = np.concatenate([centred[:, band.pixels] @ band.halves for band in weights.bands], axis=1)
    halves = sums.astype(np.int32).reshape(len(lines), len(weights.bands), 2, _TOGETHER)
    whole = ((halves[:, :, 0] << _HALF) + halves[:, :, 1]).reshape(len(lines), -1) + weights.rest
    return np.clip(whole >> _PRECISION, 0, 255).astype(np.uint8).reshape(*grays.shape[:2], -1)


def _largest_sum(weights: _Weights) -> float:
    """What no sum of these, over values of -128 to 127, exceeds on the way."""
    return max(128 * float(np.abs(band.halves.astype(float)).sum(axis=0).max()) for band in weights.bands)


_WAYS = (_rows_first, _columns_first)


def _room(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array that is this thread's, with anything in it: new memory for each picture costs more than the sums."""
    size = math.prod(shape)
    kept: NDArray[np.float32] | None = getattr(_of_thread, "room", None)
    if kept is None or kept.size < size:
        kept = _of_thread.room = np.empty(size, np.float32)
    return kept[:size].reshape(shape)


@lru_cache(32)
def _weights(length: int, side: int) -> _Weights:
    fixed = np.zeros((length, side), np.int64)
    scale = length / side
    support = _LOBES * scale
    for place in range(side):
        center = (place + 0.5) * scale
        first, last = max(0, int(center - support + 0.5)), min(length, int(center + support + 0.5))
        window = [_lanczos((pixel - center + 0.5) / scale) for pixel in range(first, last)]
        fixed[first:last, place] = _fixed(window)
    upper = (fixed + (1 << (_HALF - 1))) >> _HALF
    lower = fixed - (upper << _HALF)
    bands = []
    for place in range(0, side, _TOGETHER):
        both = np.concatenate([part[:, place : place + _TOGETHER] for part in (upper, lower)], axis=1)
        used = np.flatnonzero(both.any(axis=1))
        pixels = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(_Band(pixels, both[pixels].astype(np.float32)))
    return _Weights(bands, (128 * fixed.sum(axis=0) + (1 << (_PRECISION - 1))).astype(np.int32))


def _fixed(window: Sequence[float]) -> NDArray[np.int64]:
    """Weights that add up to 1, with _PRECISION bits after the point, rounded half away from 0."""
    total = sum(window)
    return np.array([int(math.copysign(0.5, one) + one / total * (1 << _PRECISION)) for one in window])


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / _LOBES) if -_LOBES <= x < _LOBES else 0.0


def _sinc(x: float) -> float:
    return math.sin(x * math.pi) / (x * math.pi) if x else 1.0
