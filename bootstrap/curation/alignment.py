"""Align two small copies of pictures in crop and tone (shift, scale, brightness), so that the rest is what differs.

A slightly cropped or brightened copy differs a lot from the picture, along all outlines or everywhere, and yet shows
nothing new. So crop and tone are estimated first, by least squares with a few Gauss-Newton steps (Lucas and Kanade, "An
iterative image registration technique", 1981). Weights keep a thing that only one picture shows from distorting the
estimate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How often pictures are smoothed before each step: early steps see coarse shapes only, and match them from farther.
_STEPS = (2, 2, 1, 0)
LEAST_GAIN, MOST_GAIN = 0.7, 1.4  # limits of the brightness factor
# Crop and tone: horizontal scale and shift, vertical scale and shift (relative to the side), gain and offset (of values
# 0 to 1).
_UNCHANGED = np.array([0, 0, 0, 0, 1, 0.0])
_LOWEST = np.array(
    [-0.08, -0.04, -0.08, -0.04, LEAST_GAIN, -0.15]
)  # crops of up to 4 % on one side, 8 % in all
_HIGHEST = np.array([0.08, 0.04, 0.08, 0.04, MOST_GAIN, 0.15])
# Standard deviation of values (0 to 1) from which tone is estimated: a flat picture is nothing but its tone.
_TONED = 0.04
# How strongly each estimate is pulled towards "unchanged": 1 is like a value's change by 1 in one cell of a thousand.
_PULL = np.diag([6.0, 0.6, 6.0, 0.6, 1.0, 1.0])
_SATURATED = 0.015  # distance from black or white; values clipped there say nothing about the tone
_LEAST_DOUBT = 0.03  # least scale of the residuals, which count half at that size
_SMOOTHING = np.array([0.25, 0.5, 0.25])
_MOVED = 0.15  # cells, at the edges; a crop of 0.5 % moves them by that much

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Laid:
    """Two small copies (h, w, 3), 0 to 1, the first aligned with the second."""

    first: Floats
    second: Floats
    is_moved: bool  # then both are smoothed, as moving by part of a cell blurs outlines, and lack their edges


def lay_upon(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Laid:
    """Give the first of two small copies (side, side, 3) the estimated crop and tone of the second."""
    moved, fixed = first / 255, second / 255
    grays, targets = _smoothing_levels(moved.mean(axis=2)), _smoothing_levels(fixed.mean(axis=2))
    has_tone = min(grays[0].std(), targets[0].std()) >= _TONED
    estimate = _UNCHANGED
    for smooth in _STEPS:
        estimate = np.clip(
            estimate + _step(grays[smooth], targets[smooth], estimate, has_tone), _LOWEST, _HIGHEST
        )
    scale_x, shift_x, scale_y, shift_y, gain, offset = estimate
    side = len(moved)
    is_moved = side * max(abs(scale_x) / 2 + abs(shift_x), abs(scale_y) / 2 + abs(shift_y)) >= _MOVED
    if is_moved:
        rows, columns = _resampling(side, scale_y, shift_y), _resampling(side, scale_x, shift_x)
        moved = np.einsum("yj,jic,xi->yxc", rows, moved, columns, optimize=True)
    laid = np.clip(gain * moved + offset, 0, 1)
    return Laid(_smoothed(laid), _smoothed(fixed), True) if is_moved else Laid(laid, fixed, False)


def _step(gray: Floats, target: Floats, estimate: Floats, has_tone: bool) -> Floats:
    """Return the change of crop and tone (6,) of one Gauss-Newton step."""
    side = len(gray)
    scale_x, shift_x, scale_y, shift_y, gain, offset = estimate
    warped = _resampling(side, scale_y, shift_y) @ gray @ _resampling(side, scale_x, shift_x).T
    toned = gain * warped + offset
    residuals = (target - np.clip(toned, 0, 1)).ravel()
    weights = 1 / (1 + (residuals / max(_LEAST_DOUBT, 2 * float(np.median(np.abs(residuals))))) ** 2)
    clipped = ((target > 1 - _SATURATED) & (toned > 1)) | ((target < _SATURATED) & (toned < 0))
    weights[clipped.ravel()] = 0
    slope_y, slope_x = (gain * side * slope for slope in np.gradient(warped))
    places = _places(side)
    effects = np.stack(
        [slope_x * places, slope_x, slope_y * places[:, None], slope_y, warped, np.ones_like(warped)]
    ).reshape(6, -1)
    if not has_tone:
        effects[4:] = 0
    weighted = effects * weights
    return np.linalg.solve(weighted @ effects.T + _PULL, weighted @ residuals)


def _places(side: int) -> Floats:
    """Return the positions of the cells of a line: 0 is the middle, -0.5 and 0.5 are the edges."""
    return (np.arange(side) + 0.5) / side - 0.5


def _resampling(side: int, scale: float, shift: float) -> Floats:
    """Return the matrix that samples a line at place * (1 + scale) + shift, by cubic interpolation (Catmull-Rom)."""
    sources = np.clip((_places(side) * (1 + scale) + shift + 0.5) * side - 0.5, 0, side - 1)
    first = np.floor(sources).astype(np.int64)
    t = sources - first
    matrix = np.zeros((side, side))
    rows = np.arange(side)
    for step, weight in enumerate(
        (
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        )
    ):
        matrix[rows, np.clip(first + step - 1, 0, side - 1)] += weight
    return matrix


def _smoothing_levels(gray: Floats) -> list[Floats]:
    """Return the picture unchanged, smoothed once, twice, and so on."""
    result = [gray]
    for _ in range(max(_STEPS)):
        result.append(_smoothed(np.pad(result[-1], 1, mode="edge")))
    return result


def _smoothed(values: Floats) -> Floats:
    """Smooth values (h, w, ...) to (h - 2, w - 2, ...)."""
    left, middle, right = _SMOOTHING
    across = left * values[:, :-2] + middle * values[:, 1:-1] + right * values[:, 2:]
    return left * across[:-2] + middle * across[1:-1] + right * across[2:]
