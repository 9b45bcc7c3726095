"""Fingerprints for comparing pictures: a hash, the mirror image's hash, and two small blurred copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
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


@dataclass(frozen=True)
class Fingerprint:
    """Everything that one picture is compared by."""

    image_hash: int  # 64 bits, the first highest, in imagehash's order
    image_hash_mirrored: int  # of the picture mirrored left to right
    texture: float  # how far the hash is from being random, in gray levels (0 to 255); see `texture_of`
    small: NDArray[np.uint8]  # SMALL_SIDE x SMALL_SIDE x 3, RGB

    @property
    def coarse(self) -> NDArray[np.uint8]:
        """See `coarse_copy`."""
        return coarse_copy(self.small)


def fingerprint(picture: Image.Image, kind: str = "phash") -> Fingerprint:
    """Return a picture's fingerprint.

    Args:
        kind: the function of imagehash that computes the hash: phash, dhash, whash or colorhash.
    """
    return Fingerprint(
        image_hash=_hash(picture, kind),
        image_hash_mirrored=_hash(ImageOps.mirror(picture), kind),
        texture=texture_of(picture),
        small=small_copy(picture),
    )


def fingerprints(pictures: Sequence[Image.Image], kind: str = "phash") -> list[Fingerprint]:
    """Return the fingerprints of pictures, in their order; see fingerprint."""
    return [fingerprint(picture, kind) for picture in pictures]


def _hash(picture: Image.Image, kind: str) -> int:
    return from_hex(str(getattr(imagehash, kind)(picture)))


def texture_of(picture: Image.Image) -> float:
    """Return the median distance of a pHash's 8 x 8 coefficients from their median, in gray levels (0 to 255).

    Each bit of the hash says whether a coefficient is above the median. In a flat picture, one split into two halves,
    or a symmetric one, half or more of the coefficients equal the median: noise decides their bits, and the hash says
    little. The result is 0 for those.

    Source of the coefficients, which imagehash does not return: imagehash, `phash`.
    """
    gray = picture.convert("L").resize((_DCT_SIDE, _DCT_SIDE), Image.Resampling.LANCZOS)
    frequencies = scipy.fftpack.dct(scipy.fftpack.dct(np.asarray(gray), axis=0), axis=1)
    coefficients = frequencies[:_HASH_SIDE, :_HASH_SIDE]
    return float(np.median(np.abs(coefficients - np.median(coefficients)))) * _GRAY_LEVELS


def small_copy(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the picture averaged over a grid of SMALL_SIDE x SMALL_SIDE cells: (SMALL_SIDE, SMALL_SIDE, 3), RGB."""
    colored = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(colored.resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BOX, reducing_gap=1.0))


def coarse_copy(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a small copy averaged over COARSE_SIDE x COARSE_SIDE cells and over the channels: (64,), row by row."""
    cell = SMALL_SIDE // COARSE_SIDE
    cells = small.reshape(COARSE_SIDE, cell, COARSE_SIDE, cell, 3)
    return np.rint(cells.mean(axis=(1, 3, 4))).astype(np.uint8).ravel()


def to_hex(image_hash: int) -> str:
    """Return a hash in imagehash's notation, 16 hex digits."""
    return f"{image_hash:016x}"


def from_hex(text: str) -> int:
    """Return the hash that `to_hex` wrote."""
    return int(text, 16)
