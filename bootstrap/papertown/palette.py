"""The colours of Paper Town, keyed by their names in captions."""

from __future__ import annotations

COLORS = {
    "red": "#d63031",
    "orange": "#f08a24",
    "yellow": "#f6d743",
    "green": "#3aa655",
    "blue": "#2f6fd6",
    "purple": "#7d4cc2",
    "pink": "#f58fb5",
    "white": "#f5f5f0",
    "black": "#2b2b2f",
    "gray": "#8d9299",
    "brown": "#7a4a2b",
    "teal": "#27a8a1",
}
HAIR_COLORS = {
    "black": "#2c1b18",
    "brown": "#724133",
    "blonde": "#e2bd5c",
    "red": "#c93305",
    "pink": "#f58fb5",
    "gray": "#bdb7b4",
    "blue": "#4a7fd4",
    "purple": "#8a56c8",
}
SKINS = {"pale": "#ffdbb4", "tan": "#d9a066", "dark": "#7c5138"}


def shade(color: str, factor: float) -> str:
    """Return `color` ("#rrggbb") made darker (`factor` 0 to 1) or lighter (1 to 2; 2 is white)."""
    toward, share = (0, 1 - factor) if factor <= 1 else (255, factor - 1)
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{int(c + (toward - c) * share):02x}" for c in channels)
