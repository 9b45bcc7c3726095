"""The technical quality of a picture, from its pixels alone, relative to the original."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from PIL import Image

# A flaw is so severe that nobody would want the picture; these limits were set by judgement.
_BLANK = 4.0  # standard deviation of the pixels in levels (0 to 255)
_NOISY, _NOISIER = 20.0, 4.0  # gray levels, and multiple of the original's
_BURNT, _BURNT_MORE = 0.8, 0.4  # share of the pixels, and excess over the original's share

_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)


@dataclass(frozen=True)
class Measures:
    """Measures of a picture's pixels."""

    sharpness: float  # variance of the Laplacian of the gray levels (0 to 255); 0 is flat
    noise: float  # standard deviation in gray levels, see `noise_of`
    clipped: float  # share of the pixels with a channel blown (255) or crushed (0)
    spread: float  # standard deviation of the channels over the picture, in levels

    def quality(self, original: "Measures") -> float:
        """Return 1.0 for a picture as sharp, clean and well exposed as the original, down to 0.0 for worse ones."""
        sharp = min(1.0, self.sharpness / original.sharpness) if original.sharpness else 1.0
        clean = min(1.0, (original.noise + 2) / (self.noise + 2))
        exposed = 1 - max(0.0, self.clipped - original.clipped)
        return float(np.sqrt(sharp) * clean * exposed)

    def flaw(self, original: "Measures") -> str:
        """Return "blank", "noise" or "burnt", or "" for a picture without a flaw."""
        if self.spread < _BLANK <= original.spread:
            return "blank"
        if self.noise > max(_NOISY, _NOISIER * original.noise):
            return "noise"
        if self.clipped > max(_BURNT, original.clipped + _BURNT_MORE):
            return "burnt"
        return ""


def measure(picture: Image.Image) -> Measures:
    """Measure an RGB picture of 3 x 3 pixels or more."""
    pixels = np.asarray(picture)
    gray = np.asarray(picture.convert("L"), np.float64)
    return Measures(
        sharpness=float(scipy.ndimage.laplace(gray).var()),
        noise=noise_of(gray),
        clipped=float(((pixels == 255) | (pixels == 0)).any(axis=2).mean()),
        spread=float(pixels.std(axis=(0, 1)).mean()),
    )


def noise_of(gray: NDArray[np.float64]) -> float:
    """Return the standard deviation of the noise in gray levels (h, w).

    The estimate filters with a difference of two Laplacians, which ignores gradients and straight edges (Immerkær,
    "Fast Noise Variance Estimation", 1996). The median replaces his mean, so that outlines do not count as noise.
    """
    response = scipy.ndimage.convolve(gray, _NOISE_KERNEL)[1:-1, 1:-1]
    # For normal noise the response has 6 times the deviation; the median of its magnitude is 0.6745 of that.
    return float(np.median(np.abs(response))) / (6 * 0.6745)
