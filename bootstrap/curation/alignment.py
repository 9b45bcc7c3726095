"""How much two small copies differ when one is laid upon the other: moved, scaled, brightened.

A copy that was cropped a little, or brightened, differs from the picture by much along all outlines, or everywhere,
and yet shows nothing new. So crop and tone are estimated first, by least squares with a few Gauss-Newton steps (Lucas
and Kanade, "An iterative image registration technique", 1981), weighted so that a thing that only one of them shows
does not pull at them; what is left over then is the difference.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How often pictures are smoothed before each step: the first ones see coarse shapes only, and find them from farther.
_STEPS = (2, 2, 1, 0)
LEAST_GAIN, MOST_GAIN = 0.7, 1.4  # how much darker or brighter
# Crop and tone: scale and shift across, scale and shift down (of the side), gain and offset (of values 0 to 1).
_UNCHANGED = np.array([0, 0, 0, 0, 1, 0.0])
_LOWEST = np.array(
    [-0.08, -0.04, -0.08, -0.04, LEAST_GAIN, -0.15]
)  # crops of up to 4 % on one side, 8 % in all
_HIGHEST = np.array([0.08, 0.04, 0.08, 0.04, MOST_GAIN, 0.15])
_TONED = (
    0.04  # spread of values (0 to 1) from which a tone means anything: of flat pictures it is all there is
)
# How little the estimates are pulled towards "not at all": 1 is a value's change by 1 in one cell of a thousand.
_PULL = np.diag([6.0, 0.6, 6.0, 0.6, 1.0, 1.0])
_SATURATED = 0.015  # from black or white; what was cut off there says nothing of the tone
_LEAST_DOUBT = 0.03  # residuals up to this one count in full
_SMOOTHING = np.array([0.25, 0.5, 0.25])
_MOVED = 0.15  # cells, at the edges; a crop of half a hundredth moves them by as much

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Laid:
    """Two small copies (h, w, 3), 0 to 1, the first laid upon the second."""

    one: Floats
    other: Floats
    is_moved: (
        bool  # then both are smoothed, because moving by part of a cell blurs outlines, and lack their edges
    )


def lay_upon(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Laid:
    """Give the first of two small copies (side, side, 3) crop and tone of the second, as nearly as they can be told."""
    moved, fixed = one / 255, other / 255
    grays, targets = _ever_smoother(moved.mean(axis=2)), _ever_smoother(fixed.mean(axis=2))
    has_tone = min(grays[0].std(), targets[0].std()) >= _TONED
    found = _UNCHANGED
    for smooth in _STEPS:
        found = np.clip(found + _step(grays[smooth], targets[smooth], found, has_tone), _LOWEST, _HIGHEST)
    scale_x, shift_x, scale_y, shift_y, gain, offset = found
    side = len(moved)
    is_moved = side * max(abs(scale_x) / 2 + abs(shift_x), abs(scale_y) / 2 + abs(shift_y)) >= _MOVED
    if is_moved:
        rows, columns = _resampling(side, scale_y, shift_y), _resampling(side, scale_x, shift_x)
        moved = np.einsum("yj,jic,xi->yxc", rows, moved, columns, optimize=True)
    laid = np.clip(gain * moved + offset, 0, 1)
    return Laid(_smoothed(laid), _smoothed(fixed), True) if is_moved else Laid(laid, fixed, False)


def _step(gray: Floats, target: Floats, found: Floats, has_tone: bool) -> Floats:
    """One step of Gauss and Newton: by how much to change crop and tone (6,)."""
    side = len(gray)
    scale_x, shift_x, scale_y, shift_y, gain, offset = found
    warped = _resampling(side, scale_y, shift_y) @ gray @ _resampling(side, scale_x, shift_x).T
    toned = gain * warped + offset
    rest = (target - np.clip(toned, 0, 1)).ravel()
    trusted = 1 / (1 + (rest / max(_LEAST_DOUBT, 2 * float(np.median(np.abs(rest))))) ** 2)
    cut = ((target > 1 - _SATURATED) & (toned > 1)) | ((target < _SATURATED) & (toned < 0))
    trusted[cut.ravel()] = 0
    slope_y, slope_x = (gain * side * slope for slope in np.gradient(warped))
    place = _places(side)
    effects = np.stack(
        [slope_x * place, slope_x, slope_y * place[:, None], slope_y, warped, np.ones_like(warped)]
    ).reshape(6, -1)
    if not has_tone:
        effects[4:] = 0
    weighted = effects * trusted
    return np.linalg.solve(weighted @ effects.T + _PULL, weighted @ rest)


def _places(side: int) -> Floats:
    """Where the cells of a line lie: 0 in the middle, the edges at -0.5 and 0.5."""
    return (np.arange(side) + 0.5) / side - 0.5


def _resampling(side: int, scale: float, shift: float) -> Floats:
    """The matrix that takes a line's values at place * (1 + scale) + shift, by cubic interpolation (Catmull-Rom)."""
    wanted = np.clip((_places(side) * (1 + scale) + shift + 0.5) * side - 0.5, 0, side - 1)
    first = np.floor(wanted).astype(np.int64)
    t = wanted - first
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


def _ever_smoother(gray: Floats) -> list[Floats]:
    """The picture as it is, smoothed once, twice, and so on."""
    result = [gray]
    for _ in range(max(_STEPS)):
        result.append(_smoothed(np.pad(result[-1], 1, mode="edge")))
    return result


def _smoothed(values: Floats) -> Floats:
    """(h, w, ...) to (h - 2, w - 2, ...)."""
    left, middle, right = _SMOOTHING
    across = left * values[:, :-2] + middle * values[:, 1:-1] + right * values[:, 2:]
    return left * across[:-2] + middle * across[1:-1] + right * across[2:]
