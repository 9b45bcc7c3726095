"""The things of Paper Town as SVG fragments: props, desk items, wall items and accents.

Every fragment is drawn around the origin, in units of the world (a picture is 256 wide); the caller places
it. Outlines are darker shades of the fill, so that a thing stands out against a background of its own colour.
"""

from __future__ import annotations

from bootstrap.papertown.palette import COLORS, shade

WOOD, DARK_WOOD = "#8a5a2e", "#4f2f1b"


def prop(kind: str, color: str) -> str:
    """Draw a prop in a box of 40 by 40. `kind` is one of `PROPS`, `color` one of `palette.COLORS`."""
    return PROPS[kind](COLORS[color], shade(COLORS[color], 0.72), shade(COLORS[color], 1.45))


def _apple(fill: str, line: str, light: str) -> str:
    return (
        f'<path d="M0-9C-6-15-17-12-17 0c0 10 8 18 17 16C9 18 17 10 17 0 17-12 6-15 0-9z" fill="{fill}" '
        f'stroke="{line}" stroke-width="1.5"/><path d="M0-9q0-6 3-10" stroke="#3b2a20" stroke-width="2.5" '
        f'fill="none"/><path d="M3-14q7-7 12-2q-6 6-12 2z" fill="#4c9b3f"/>'
        f'<ellipse cx="-8" cy="-3" rx="3" ry="5" fill="{light}"/>'
    )


def _ball(fill: str, line: str, light: str) -> str:
    return (
        f'<circle r="17" fill="{fill}" stroke="{line}" stroke-width="1.5"/>'
        f'<path d="M-16-5Q0 6 16-5M-11 12Q0-2 11 12" stroke="{light}" stroke-width="3" fill="none"/>'
    )


def _cup(fill: str, line: str, light: str) -> str:
    return (
        f'<path d="M11-6q10 0 8 8q-2 7-10 6" stroke="{line}" stroke-width="3.5" fill="none"/>'
        f'<path d="M-13-13h24l-3 28h-18z" fill="{fill}" stroke="{line}" stroke-width="1.5"/>'
        f'<ellipse cx="-1" cy="-13" rx="12" ry="3.5" fill="#5a3a22"/>'
    )


def _book(fill: str, line: str, light: str) -> str:
    return (
        f'<rect x="-15" y="-18" width="30" height="36" rx="2" fill="{fill}" stroke="{line}" '
        f'stroke-width="2"/><path d="M-10-18v36" stroke="{line}" stroke-width="3"/>'
        f'<rect x="-4" y="-10" width="14" height="8" fill="{light}"/>'
    )


def _flower(fill: str, line: str, light: str) -> str:
    heart = "#7a4a2b" if fill == COLORS["yellow"] else "#f6c945"
    petals = "".join(
        f'<ellipse cy="-11" rx="6" ry="8" transform="rotate({angle} 0 -3)" fill="{fill}" stroke="{line}"/>'
        for angle in range(0, 360, 60)
    )
    return (
        '<path d="M0 2v18" stroke="#2f8f3a" stroke-width="3"/><path d="M0 14q9-8 12 0q-8 4-12 0z" '
        f'fill="#2f8f3a"/>{petals}<circle cy="-3" r="5" fill="{heart}"/>'
    )


def _balloon(fill: str, line: str, light: str) -> str:
    return (
        '<path d="M0 12q-3 8 1 12" stroke="#444" stroke-width="1.5" fill="none"/>'
        f'<ellipse cy="-6" rx="14" ry="17" fill="{fill}" stroke="{line}" stroke-width="1.5"/>'
        f'<path d="M-3 11h6l-3-3z" fill="{line}"/><ellipse cx="-5" cy="-12" rx="3" ry="5" fill="{light}"/>'
    )


def _star(fill: str, line: str, light: str) -> str:
    points = "M0-19l5.6 12.2 13.4 1.6-9.9 9.2 2.6 13.3L0 9.7l-11.7 6.6 2.6-13.3-9.9-9.2 13.4-1.6z"
    return f'<path d="{points}" fill="{fill}" stroke="{line}" stroke-width="2"/>'


def _fish(fill: str, line: str, light: str) -> str:
    return (
        f'<path d="M-18 0q10-14 26-1l10-9v20l-10-9q-16 13-26-1z" fill="{fill}" stroke="{line}" '
        'stroke-width="1.5"/><circle cx="-9" cy="-2" r="3" fill="#fff"/><circle cx="-9" cy="-2" r="1.5"/>'
    )


PROPS = {
    "apple": _apple,
    "ball": _ball,
    "cup": _cup,
    "book": _book,
    "flower": _flower,
    "balloon": _balloon,
    "star": _star,
    "fish": _fish,
}

# Items on the desk; the origin is the point where they stand.
DESK_ITEMS = {
    "cup": f'<g transform="translate(0 -16) scale(1.1)">{prop("cup", "white")}</g>',
    "papers": (
        '<path d="M-30-2h56l8 16h-60z" fill="#fff" stroke="#bbb"/>'
        '<path d="M-22 4h38M-20 9h38" stroke="#999" stroke-width="1.6"/>'
    ),
    "laptop": (
        '<rect x="-30" y="-38" width="60" height="38" rx="3" fill="#444b55"/>'
        '<rect x="-26" y="-34" width="52" height="30" fill="#8fd0ff"/>'
        '<path d="M-34 0h68l5 7h-78z" fill="#6b7280"/>'
    ),
}


def _window() -> str:
    skyline = "M-32 34V12h12v-12h12v20h12V-8h12v24h8V4h8v30z"
    return (
        '<rect x="-38" y="-40" width="76" height="80" fill="#f2efe6"/>'
        f'<rect x="-32" y="-34" width="64" height="68" fill="#bfe3f7"/><path d="{skyline}" fill="#7d93a8"/>'
        '<path d="M0-34v68M-32 0h64" stroke="#f2efe6" stroke-width="4"/>'
    )


def _picture_frame() -> str:
    return (
        f'<rect x="-32" y="-26" width="64" height="52" fill="{WOOD}"/>'
        '<rect x="-26" y="-20" width="52" height="40" fill="#fdf6e3"/>'
        '<path d="M-26 20l16-20 10 12 8-8 16 16z" fill="#6fae6a"/>'
        '<circle cx="15" cy="-9" r="6" fill="#f3a33a"/>'
    )


def _clock() -> str:
    return (
        '<circle r="26" fill="#fff" stroke="#333" stroke-width="4"/>'
        '<path d="M0 0V-16M0 0l11 7" stroke="#333" stroke-width="4"/>'
    )


def _bookshelf() -> str:
    spines = ("red", "yellow", "blue", "white", "green", "orange", "teal")
    books = "".join(
        f'<rect x="{-31 + 9 * i}" y="{4 + 3 * (i % 2)}" width="8" height="{32 - 3 * (i % 2)}" '
        f'fill="{COLORS[color]}"/>'
        for i, color in enumerate(spines)
    )
    shelf = f'<rect x="-34" width="68" height="36" fill="{DARK_WOOD}"/>{books}'
    shelves = "".join(f'<g transform="translate(0 {y})">{shelf}</g>' for y in (-40, 0))
    return f'<rect x="-38" y="-44" width="76" height="84" fill="{WOOD}"/>{shelves}'


def _potted_plant() -> str:
    leaves = "M0-2q-30-20-22-52q18 14 22 40q-4-40 8-58q12 22-2 58q8-26 26-34q2 28-26 46z"
    return f'<path d="{leaves}" fill="#3f9a4d"/><path d="M-18-2h38l-5 40h-28z" fill="#c8673a"/>'


# Items on or before a wall: name -> (y of the item's middle, drawing).
WALL_ITEMS = {
    "window": (64, _window()),
    "picture frame": (52, _picture_frame()),
    "clock": (48, _clock()),
    "bookshelf": (64, _bookshelf()),
    "potted plant": (170, _potted_plant()),
}


def _id_badge() -> str:
    return (
        '<path d="M-18-34L0-8 18-34" stroke="#e05a00" stroke-width="5" fill="none"/>'
        '<rect x="-16" y="-8" width="32" height="40" rx="3" fill="#fff" stroke="#e05a00" stroke-width="4"/>'
        '<circle cy="5" r="8" fill="#1f7a4d"/><path d="M-9 19h18M-9 25h12" stroke="#444" stroke-width="3"/>'
    )


def _striped_scarf() -> str:
    stripes = "".join(
        f'<path d="M{x}-{10 - abs(x) // 5}l{x / 9:.0f} 24" stroke="#2f6fd6" stroke-width="8"/>'
        for x in (-34, -12, 12, 34)
    )
    return (
        f'<path d="M-46-12q46 26 92 0l6 18q-52 30-104 0z" fill="#f6d743"/>{stripes}'
        '<path d="M14 10h20l6 52h-24z" fill="#f6d743"/>'
        '<path d="M16 26h22M17 42h24" stroke="#2f6fd6" stroke-width="8"/>'
    )


def _medal() -> str:
    star = "M0-4l4 8 9 1-6.6 6 1.8 8.8L0 15.5l-8.2 4.3 1.8-8.8-6.6-6 9-1z"
    return (
        '<path d="M-16-36h32l-9 30h-14z" fill="#2f6fd6"/><path d="M-5-36h10l-3 30h-4z" fill="#fff"/>'
        f'<circle cy="10" r="21" fill="#f2b632" stroke="#b07d10" stroke-width="3"/>'
        f'<path d="{star}" fill="#b07d10"/>'
    )


def _flower_crown() -> str:
    blossoms = (
        (-52, 14, "#ff6fae"),
        (-28, -2, "#ffffff"),
        (0, -8, "#8a56c8"),
        (28, -2, "#ffffff"),
        (52, 14, "#ff6fae"),
    )
    return "".join(
        f'<g transform="translate({x} {y})"><circle r="13" fill="{color}"/><circle r="5" fill="#fff3a0"/></g>'
        for x, y, color in blossoms
    )


def _bow_tie() -> str:
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="#fff"/>' for x in (-24, 24) for y in (-8, 6))
    return (
        '<path d="M0-5L-34-20v38L0 5l34 13v-38z" fill="#e0218a" stroke="#9c1260" stroke-width="2"/>'
        f'{dots}<circle r="8" fill="#e0218a" stroke="#9c1260" stroke-width="2"/>'
    )


def _headphones() -> str:
    cups = "".join(
        f'<rect x="{x}" y="30" width="22" height="44" rx="9" fill="#39d353" stroke-width="4"/>'
        for x in (-80, 58)
    )
    band = '<path d="M-69 40a69 70 0 0 1 138 0" fill="none" stroke-width="11"/>'
    return f'<g stroke="#20272e">{band}{cups}</g>'


def _wings() -> str:
    wing = (
        '<path d="M-40 60C-60 0-116-30-128-10c-8 16 2 26 12 32c-14 2-14 22 2 28c-8 8 0 24 14 22'
        'c6 14 34 12 60-12z" fill="#fffdf2" stroke="#d9b64a" stroke-width="4"/>'
    )
    return f'{wing}<g transform="scale(-1 1)">{wing}</g>'


# Name -> (the point of the figure where the accent sits, a key of `world.ANCHORS`; drawing). No base model is
# trained on accents: they are what a SID LoRA has to learn.
ACCENTS = {
    "id badge": ("chest", _id_badge()),
    "striped scarf": ("neck", _striped_scarf()),
    "medal": ("chest", _medal()),
    "flower crown": ("head", _flower_crown()),
    "dotted bow tie": ("neck", _bow_tie()),
    "headphones": ("head", _headphones()),
    "angel wings": ("back", _wings()),
}
