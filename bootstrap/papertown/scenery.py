"""The backgrounds of Paper Town as SVG fragments that fill the picture, 256 by 256 units.

Coordinates are multiples of 2 units (a pixel at 128 px) where possible, so that edges are crisp.
"""

from __future__ import annotations

from bootstrap.papertown.palette import COLORS, shade

DESK_TOP = 208


def wall(color: str) -> str:
    """Draw a plain wall in a paler shade of one of `palette.COLORS`, so that things of that colour stand out."""
    return _ground(COLORS[color] if color in ("white", "black") else shade(COLORS[color], 1.25))


def outdoors(kind: str, sun_x: int) -> str:
    """Draw one of `OUTDOORS`; `sun_x` is the position of the sun or the moon, if the place shows one."""
    return OUTDOORS[kind](sun_x)


def desk() -> str:
    """Draw a wooden desk along the lower edge."""
    return (
        f'<rect y="{DESK_TOP}" width="256" height="48" fill="#a8703c"/>'
        f'<rect y="{DESK_TOP}" width="256" height="6" fill="#c48a50"/>'
        '<path d="M0 228h256M0 243h256" stroke="#96602f" stroke-width="2"/>'
    )


def _ground(fill: str, top: int = 0) -> str:
    return f'<rect y="{top}" width="256" height="{256 - top}" fill="{fill}"/>'


def _forest(sun_x: int) -> str:
    pines = "".join(
        f'<g transform="translate({x} {y}) scale(1.2)"><rect x="-5" y="40" width="10" height="34" '
        'fill="#5c3c22"/><path d="M0-60l34 60h-18l26 44h-84l26-44h-18z" fill="#2d6b45"/></g>'
        for x, y in ((16, 112), (76, 100), (136, 112), (196, 100), (244, 112))
    )
    return _ground("#cfeadf") + pines + _ground("#5f9e57", 184)


def _beach(sun_x: int) -> str:
    sun = f'<circle cx="{sun_x}" cy="40" r="22" fill="#ffd94d"/>'
    return _ground("#a9e0f7") + sun + _ground("#2f9ec4", 112) + _ground("#f2dca5", 168)


def _mountains(sun_x: int) -> str:
    return (
        _ground("#d6ecfa") + '<path d="M-24 184L64 56l56 80L176 32l104 152z" fill="#7f8fa6"/>'
        '<path d="M64 56l-20 30 20-6 20 8zM176 32l-24 44 24-10 28 12z" fill="#fff"/>'
        + _ground("#7fb069", 180)
    )


def _night_sky(sun_x: int) -> str:
    places = (
        (16, 24), (60, 92), (84, 16), (104, 56), (128, 20), (152, 60), (172, 16), (196, 92), (240, 24),
        (20, 120), (236, 124), (24, 168), (228, 172), (128, 84),
    )  # fmt: skip
    stars = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="#fff"/>' for x, y in places)
    moon = f'<circle cx="{sun_x}" cy="48" r="24" fill="#f4eeb8"/>'
    return _ground("#1b2450") + stars + moon + _ground("#27365f", 196)


def _city_street(sun_x: int) -> str:
    houses = ((0, 56, "#a8644f"), (60, 20, "#6d7f92"), (136, 40, "#b59a6a"), (200, 12, "#7f6a8a"))
    windows = "".join(
        f'<rect x="{10 + 24 * i}" y="{14 + 28 * j}" width="14" height="16" fill="#fff3c4"/>'
        for i in (0, 1)
        for j in range(6)
    )
    street = "".join(
        f'<g transform="translate({x} {y})"><rect width="56" height="230" fill="{color}"/>{windows}</g>'
        for x, y, color in houses
    )
    return _ground("#dfe7ee") + street + _ground("#5b5f66", 204)


def _autumn_park(sun_x: int) -> str:
    trees = "".join(
        f'<g transform="translate({x} 108) scale(1.15)"><rect x="-6" width="12" height="64" fill="#6b4426"/>'
        f'<circle cy="-14" r="34" fill="{leaf}"/><circle cx="-20" cy="4" r="22" fill="{shade(leaf, 0.88)}"/>'
        f'<circle cx="20" cy="2" r="24" fill="{shade(leaf, 0.94)}"/></g>'
        for x, leaf in ((20, "#d9722e"), (98, "#e0a030"), (168, "#c8452f"), (240, "#dd8a2a"))
    )
    return _ground("#fbe9cf") + trees + _ground("#c99b52", 176)


OUTDOORS = {
    "forest": _forest,
    "beach": _beach,
    "mountains": _mountains,
    "night sky": _night_sky,
    "city street": _city_street,
    "autumn park": _autumn_park,
}
