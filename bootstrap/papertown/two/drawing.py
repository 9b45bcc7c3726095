"""The strokes and shapes that all of Paper Town Two is drawn with, as SVG fragments.

Every shape has an outline in a darker shade of its fill, so that a thing stands out against its own colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bootstrap.papertown.palette import shade

LINE = 2.0  # width of outlines, in units of the figure
INK = "#2a2430"

Point = tuple[float, float]


def outline(fill: str) -> str:
    """Return the colour of the outline of something of this colour."""
    return shade(fill, 0.7)


def shape(d: str, fill: str, line: str | None = None, width: float = LINE) -> str:
    """Draw a closed path."""
    return (
        f'<path d="{d}" fill="{fill}" stroke="{line or outline(fill)}" stroke-width="{width}" '
        'stroke-linejoin="round"/>'
    )


def flat(d: str, fill: str) -> str:
    """Draw a closed path without an outline."""
    return f'<path d="{d}" fill="{fill}"/>'


def stroke(d: str, color: str, width: float = LINE) -> str:
    """Draw an open path as a line."""
    return (
        f'<path d="{d}" fill="none" stroke="{color}" stroke-width="{width}" stroke-linecap="round" '
        'stroke-linejoin="round"/>'
    )


def oval(x: float, y: float, rx: float, ry: float, fill: str, line: str | None = None) -> str:
    """Draw an ellipse around a point; without `line` it has no outline."""
    edge = f' stroke="{line}" stroke-width="{LINE}"' if line else ""
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{fill}"{edge}/>'


def tube(points: Sequence[Point], fill: str, width: float) -> str:
    """Draw a limb, or a part of one: a thick line with round ends, outlined."""
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return stroke(d, outline(fill), width + LINE) + stroke(d, fill, width - LINE)


def along(a: Point, b: Point, share: float) -> Point:
    """Return the point at a share of the way from `a` to `b`."""
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def placed(x: float, y: float, drawing: str, scale: float = 1, turn: float = 0) -> str:
    """Move a drawing to a point, scaled and turned by degrees around it."""
    turned = f" rotate({turn:.1f})" if turn else ""
    scaled = f" scale({scale:.3f})" if scale != 1 else ""
    return f'<g transform="translate({x:.1f} {y:.1f}){turned}{scaled}">{drawing}</g>'


def mirrored(drawing: str) -> str:
    """Swap left and right of a drawing."""
    return f'<g transform="scale(-1 1)">{drawing}</g>'


def scallops(x: float, y: float, rx: float, ry: float, count: int, turn: float = 0) -> str:
    """Return the path of an ellipse with `count` curls as its edge."""
    corners = []
    for number in range(count):
        angle = 2 * math.pi * number / count + math.radians(turn)
        corners.append((x + rx * math.cos(angle), y + ry * math.sin(angle)))
    d = f"M{corners[0][0]:.1f} {corners[0][1]:.1f}"
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        radius = 0.56 * math.dist((x1, y1), (x2, y2))
        d += f"A{radius:.1f} {radius:.1f} 0 0 1 {x2:.1f} {y2:.1f}"
    return d + "Z"
