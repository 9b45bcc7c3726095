"""What a picture is compared by: its hash, its mirror's hash, and two small blurred copies of its pixels."""

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fftpack
from numpy.typing import NDArray
from PIL import Image, ImageOps
from threadpoolctl import ThreadpoolController

from bootstrap.pictures.scaling import scaled

SMALL_SIDE = 32
COARSE_SIDE = 8
_HASH_SIDE = 8  # 8 x 8 coefficients are 64 bits
_DCT_SIDE = 32
_BATCH = 4  # pictures that a thread takes at once: one by one, threads wait for each other between many small steps
# A coefficient of 1 in the unnormalized DCT is this much RMS in gray levels of the 32 x 32 picture.
_GRAY_LEVELS = 1 / (2 * _DCT_SIDE * _DCT_SIDE)
_ODD_COLUMNS = np.where(np.arange(_HASH_SIDE) % 2, -1.0, 1.0)

_threads = ThreadPoolExecutor(os.cpu_count(), "hashing")
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Fingerprint:
    """All that one picture is compared by."""

    image_hash: int  # 64 bits, the first one highest, as imagehash writes them
    image_hash_mirrored: int  # of the picture mirrored left to right
    texture: float  # how far the hash is from being chance, in gray levels of 255; see `texture_of`
    small: NDArray[np.uint8]  # SMALL_SIDE x SMALL_SIDE x 3, RGB

    @property
    def coarse(self) -> NDArray[np.uint8]:
        """See `coarse_copy`."""
        return coarse_copy(self.small)


def fingerprint(picture: Image.Image, kind: str = "phash") -> Fingerprint:
    """Return what a picture is compared by; see fingerprints."""
    return fingerprints([picture], kind)[0]


def fingerprints(pictures: Sequence[Image.Image], kind: str = "phash") -> list[Fingerprint]:
    """Return what pictures are compared by, in their order; made on all cores.

    The hashes are those of `imagehash`, bit for bit. The mirror's pHash comes from the same coefficients: mirroring
    turns the sign of the odd columns of a DCT.

    Args:
        kind: phash, dhash, whash or colorhash.
    """
    batches = list(_batches(pictures))
    # A batch's products are too small for several threads. The limit is the process's, so one call at a time.
    with _one_at_a_time, _products().limit(limits=1):
        made = _threads.map(lambda batch: _of_batch([pictures[index] for index in batch], kind), batches)
        by_index = dict(zip(itertools.chain(*batches), itertools.chain(*made), strict=True))
    return [by_index[index] for index in range(len(pictures))]


def _batches(pictures: Sequence[Image.Image]) -> Iterator[list[int]]:
    """The indices of a few pictures of one size each, all in all those of all."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, picture in enumerate(pictures):
        by_size.setdefault(picture.size, []).append(index)
    for indices in by_size.values():
        yield from (indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH))


def _of_batch(pictures: Sequence[Image.Image], kind: str) -> list[Fingerprint]:
    return [
        _fingerprint(picture, coefficients, kind)
        for picture, coefficients in zip(pictures, _coefficients(pictures), strict=True)
    ]


def _fingerprint(picture: Image.Image, coefficients: NDArray[np.float64], kind: str) -> Fingerprint:
    if kind == "phash":
        straight, mirrored = _bits(coefficients), _bits(coefficients * _ODD_COLUMNS)
    else:
        straight, mirrored = _other_hash(picture, kind), _other_hash(ImageOps.mirror(picture), kind)
    return Fingerprint(
        image_hash=straight,
        image_hash_mirrored=mirrored,
        texture=texture_of(coefficients),
        small=small_copy(picture),
    )


@cache
def _products() -> ThreadpoolController:
    """NumPy's library of matrix products."""
    return ThreadpoolController().select(internal_api="openblas")


def _other_hash(picture: Image.Image, kind: str) -> int:
    import imagehash  # brings PyWavelets along, which pHash does without

    return int(str(getattr(imagehash, kind)(picture)), 16)


def _coefficients(pictures: Sequence[Image.Image]) -> NDArray[np.float64]:
    """The 8 x 8 lowest frequencies of pictures of one size, computed as `imagehash.phash` does."""
    pixels = scaled([picture.convert("L") for picture in pictures], _DCT_SIDE)
    frequencies = scipy.fftpack.dct(scipy.fftpack.dct(pixels, axis=1), axis=2)
    return frequencies[:, :_HASH_SIDE, :_HASH_SIDE]


def _bits(coefficients: NDArray[np.float64]) -> int:
    above = coefficients > _median(coefficients)
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def texture_of(coefficients: NDArray[np.float64]) -> float:
    """Return how far a typical one of the 8 x 8 coefficients lies from the median, in gray levels of 255.

    Each bit of the hash says whether a coefficient is above the median. In a flat picture, in one split into
    two halves, or in a symmetric one, most or half of the coefficients lie on it: noise decides their bits,
    and the hash says little. This is 0 for those.
    """
    return _median(np.abs(coefficients - _median(coefficients))) * _GRAY_LEVELS


def _median(values: NDArray[np.float64]) -> float:
    """As np.median, of an even number of values, without its many checks."""
    ordered = np.sort(values, axis=None)
    middle = len(ordered) // 2
    return float((ordered[middle - 1] + ordered[middle]) / 2)


def small_copy(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the picture averaged over a grid of SMALL_SIDE x SMALL_SIDE cells, RGB."""
    colored = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(colored.resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BOX, reducing_gap=1.0))


def coarse_copy(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a small copy averaged over COARSE_SIDE x COARSE_SIDE cells and over its colors: (64,), row by row."""
    cell = SMALL_SIDE // COARSE_SIDE
    cells = small.reshape(COARSE_SIDE, cell, COARSE_SIDE, cell, 3)
    return np.rint(cells.mean(axis=(1, 3, 4))).astype(np.uint8).ravel()


def to_hex(image_hash: int) -> str:
    """Return a hash as imagehash writes it: 16 hex digits."""
    return f"{image_hash:016x}"


def from_hex(text: str) -> int:
    """Read back what to_hex gave."""
    return int(text, 16)
