"""What a picture is compared by: its hash, its mirror's hash, and two small blurred copies of its pixels."""

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fftpack
from numpy.typing import NDArray
from PIL import Image, ImageOps

SMALL_SIDE = 32
COARSE_SIDE = 8
_HASH_SIDE = 8  # 8 x 8 coefficients are 64 bits
_DCT_SIDE = 32
# A coefficient of 1 in the unnormalized DCT is this much RMS in gray levels of the 32 x 32 picture.
_GRAY_LEVELS = 1 / (2 * _DCT_SIDE * _DCT_SIDE)
_ODD_COLUMNS = np.where(np.arange(_HASH_SIDE) % 2, -1.0, 1.0)

_threads = ThreadPoolExecutor(os.cpu_count(), "hashing")


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
    """Return what a picture is compared by.

    The hash is that of `imagehash`, bit for bit. The mirror's pHash comes from the same coefficients: mirroring turns
    the sign of the odd columns of a DCT.

    Args:
        kind: phash, dhash, whash or colorhash.
    """
    coefficients = _coefficients(picture)
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


def fingerprints(pictures: Sequence[Image.Image], kind: str = "phash") -> list[Fingerprint]:
    """Return those of many pictures, on all cores: Pillow scales without holding up other threads."""
    return list(_threads.map(fingerprint, pictures, itertools.repeat(kind)))


def _other_hash(picture: Image.Image, kind: str) -> int:
    import imagehash  # brings PyWavelets along, which pHash does without

    return int(str(getattr(imagehash, kind)(picture)), 16)


def _coefficients(picture: Image.Image) -> NDArray[np.float64]:
    """The 8 x 8 lowest frequencies, computed as `imagehash.phash` does."""
    gray = picture.convert("L").resize((_DCT_SIDE, _DCT_SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(gray)
    frequencies = scipy.fftpack.dct(scipy.fftpack.dct(pixels, axis=0), axis=1)
    return frequencies[:_HASH_SIDE, :_HASH_SIDE]


def _bits(coefficients: NDArray[np.float64]) -> int:
    above = coefficients > np.median(coefficients)
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def texture_of(coefficients: NDArray[np.float64]) -> float:
    """Return how far a typical one of the 8 x 8 coefficients lies from the median, in gray levels of 255.

    Each bit of the hash says whether a coefficient is above the median. In a flat picture, in one split into
    two halves, or in a symmetric one, most or half of the coefficients lie on it: noise decides their bits,
    and the hash says little. This is 0 for those.
    """
    return float(np.median(np.abs(coefficients - np.median(coefficients)))) * _GRAY_LEVELS


def small_copy(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the picture averaged over a grid of SMALL_SIDE x SMALL_SIDE cells, RGB."""
    return np.asarray(
        picture.convert("RGB").resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BOX, reducing_gap=1.0)
    )


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
