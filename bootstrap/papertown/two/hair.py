"""Hair and hats, from three sides. Each is a layer behind the head (and body) and one before it.

Coordinates are those of the head: its middle is the origin, the face is 70 wide and 76 high.
"""

from __future__ import annotations

from bootstrap.papertown.palette import shade
from bootstrap.papertown.two.drawing import mirrored, oval, scallops, shape, stroke
from bootstrap.papertown.two.rig import View

HAIR = {
    "woman": ("long straight", "long wavy", "bob cut", "tied up", "curly"),
    "man": ("short", "curly", "shaggy", "afro", "bald"),
}
HATS = ("winter hat", "sun hat")
COVERING = ("long straight", "long wavy")  # hide the back and the ears, seen from behind
EARLESS = (*COVERING, "bob cut", "afro", "curly woman")  # hide the ears, seen from behind

Layers = tuple[str, str]

_CROWN = "M-38 4C-46-58 46-58 38 4"  # the top of the head, from ear to ear


def hair(kind: str, sex: str, color: str, view: View) -> Layers:
    """Draw hair: the layer behind the head, and the layer before it."""
    if kind == "bald":
        return "", _shine(view)
    name = f"{kind} {sex}" if kind == "curly" else kind
    return _DRAWN[view](name, color)


def under_hat(sex: str, color: str, view: View) -> Layers:
    """Draw what a hat leaves of the hair: women's reaches to the shoulders."""
    if sex == "man":
        if view == "from side":
            return "", shape("M-36-6Q-38 18-26 24L-13 10V-8Z", color)
        if view == "from behind":
            return "", shape("M-37-6Q-36 26 0 26Q36 26 37-6Z", color)
        return "", shape("M-38-8Q-39 4-35 10L-29-8Z", color) + shape("M38-8Q39 4 35 10L29-8Z", color)
    if view == "from side":
        return "", shape("M-36-8Q-44 20-40 42Q-24 46-12 38Q-4 20 2-8Z", color)
    if view == "from behind":
        return "", shape("M-38-8Q-44 20-40 42Q0 50 40 42Q44 20 38-8Z", color)
    return (
        shape("M-38-8Q-48 22-42 42Q0 50 42 42Q48 22 38-8Z", color),
        shape("M-39-10Q-41 10-36 22Q-29 8-28-10Z", color) + shape("M39-10Q41 10 36 22Q29 8 28-10Z", color),
    )


def hat(kind: str, color: str, view: View) -> str:
    """Draw a hat on a head."""
    if kind == "winter hat":
        dome = shape("M-39-10C-44-62 44-62 39-10Z", color) + stroke(
            "M-14-46V-20M14-46V-20M0-48V-20", shade(color, 0.82), 3
        )
        band = shape("M-42-22Q0-30 42-22V-7Q0-14-42-7Z", "#f7f5ee" if color != "#f5f5f0" else "#c8cdd4")
        return oval(0, -52, 11, 11, "#f7f5ee", "#c9c6bd") + dome + band
    brim = 8 if view == "from side" else 0
    return (
        oval(brim, -22, 60, 14, shade(color, 0.86), shade(color, 0.62))
        + shape("M-34-25C-36-71 36-71 34-25Q0-17-34-25Z", color)
        + shape("M-34-35Q0-27 34-35V-24Q0-16-34-24Z", shade(color, 0.55))
    )


def _front(name: str, color: str) -> Layers:
    dark = shade(color, 0.8)
    parting = shape(f"{_CROWN}C34-12 24-22 6-32C-8-20-30-16-38 4Z", color)
    bangs = shape(f"{_CROWN}L32-12Q0-22-32-12Z", color)
    if name == "long straight":
        locks = shape("M-38-8Q-43 20-40 52Q-33 56-27 50Q-31 18-31-10Z", color)
        return shape("M-38-14Q-48 24-42 54Q0 62 42 54Q48 24 38-14Z", dark), locks + mirrored(locks) + parting
    if name == "long wavy":
        wavy = (
            "M-38-16Q-52-2-44 12Q-54 26-45 38Q-51 52-38 58Q-22 58-25 44Q-14 50 0 50"
            "Q14 50 25 44Q22 58 38 60Q51 52 45 38Q54 26 44 12Q52-2 38-16Z"
        )
        return shape(wavy, dark), parting + _wave(color) + mirrored(_wave(color))
    if name == "bob cut":
        sides = shape("M-38-10Q-46 14-43 30Q-34 36-27 28Q-30 8-31-12Z", color)
        return shape("M-38-10Q-46 16-42 32H42Q46 16 38-10Z", dark), sides + mirrored(sides) + bangs
    if name == "tied up":
        return oval(0, -54, 18, 16, color, dark), parting + stroke("M-12-44Q0-50 12-44", dark, 3)
    if name == "curly woman":
        fringe = shape(scallops(0, -28, 33, 11, 9), color)
        return shape(scallops(0, 0, 50, 48, 15), color), shape(
            f"{_CROWN}Q30-20 0-24Q-30-20-38 4Z", color, color
        ) + fringe
    if name == "short":
        return "", shape("M-38 2C-47-56 47-56 38 2L33-4V-18Q10-15-4-24Q-20-14-33-17V-4Z", color)
    if name == "curly man":
        return "", shape(scallops(0, -30, 38, 19, 11), color)
    if name == "shaggy":
        d = "M-40 12L-37-6C-52-62 52-62 39-6L41 12L31-6L26-16L20-5L10-20L2-6L-8-21L-17-8L-26-19L-31-5Z"
        return "", shape(d, color)
    return shape(scallops(0, -14, 55, 48, 18), color), shape(
        f"{_CROWN}Q32-24 0-26Q-32-24-38 4Z", color, color
    )


def _wave(color: str) -> str:
    return shape("M-37-10Q-52 2-43 14Q-55 28-43 40Q-36 50-27 42Q-36 30-29 18Q-36 4-30-12Z", color)


def _behind(name: str, color: str) -> Layers:
    dark = shade(color, 0.8)
    if name == "long straight":
        d = "M-39-4C-46-58 46-58 39-4Q46 26 41 54Q0 62-41 54Q-46 26-39-4Z"
        return "", shape(d, color) + stroke("M-16 0V50M0-30V54M16 0V50", dark, 2.5)
    if name == "long wavy":
        d = (
            "M-38-12C-42-58 42-58 38-12Q51 0 44 13Q54 27 45 38Q51 52 38 58Q24 54 16 60"
            "Q0 52-16 60Q-24 54-38 60Q-51 52-45 38Q-54 27-44 13Q-51 0-38-12Z"
        )
        return "", shape(d, color) + stroke(
            "M-18-4Q-26 12-18 26Q-26 38-18 48M18-4Q26 12 18 26Q26 38 18 48", dark, 2.5
        )
    if name == "bob cut":
        return "", shape("M-39-4C-46-58 46-58 39-4Q47 16 43 32H-43Q-47 16-39-4Z", color) + stroke(
            "M-14 2V26M14 2V26", dark, 2.5
        )
    if name == "tied up":
        nape = shape("M-37 2C-45-58 45-58 37 2Q32 24 0 25Q-32 24-37 2Z", color)
        return "", nape + oval(0, -50, 18, 17, color, dark) + stroke("M-13-37Q0-31 13-37", dark, 3)
    if name == "curly woman":
        return "", shape(scallops(0, 0, 50, 48, 15), color) + _curls(dark)
    if name == "short":
        return "", shape("M-38 0C-46-58 46-58 38 0L34 16H-34Z", color) + stroke("M-30 10H30", dark, 2.5)
    if name == "curly man":
        return "", shape(scallops(0, -12, 38, 34, 14), color) + _curls(dark)
    if name == "shaggy":
        d = "M-38 0C-52-62 52-62 38 0L43 20L32 16L27 30L16 20L8 34L0 21L-8 34L-16 20L-27 30L-32 16L-43 20Z"
        return "", shape(d, color) + stroke("M-12-14L-6 2L0-14L6 2L12-14", dark, 2.5)
    return "", shape(scallops(0, -14, 55, 48, 18), color) + _curls(dark)


def _side(name: str, color: str) -> Layers:
    """Draw hair from the side; the figure looks to the right."""
    dark = shade(color, 0.8)
    cap = "M32-12C32-58-44-56-39 0"
    if name == "long straight":
        d = "M32-12C32-60-48-58-40 0Q-46 28-44 52Q-26 60-8 52Q2 24 4-4Q20-14 32-12Z"
        return "", shape(d, color) + stroke("M-26 4Q-30 28-28 48", dark, 2.5)
    if name == "long wavy":
        d = (
            "M32-12C32-60-46-58-39-10Q-56 2-47 14Q-60 28-48 40Q-54 56-36 60Q-22 56-14 58"
            "Q2 54-6 40Q8 28 0 16Q8 4 4-6Q20-14 32-12Z"
        )
        return "", shape(d, color) + stroke("M-24-2Q-32 12-24 26Q-32 38-24 48", dark, 2.5)
    if name == "bob cut":
        return "", shape("M32-12C32-60-48-58-40 0Q-46 18-42 32H4Q10 12 8-6Q20-14 32-12Z", color)
    if name == "tied up":
        d = f"{cap}Q-36 20-22 24Q-16 8-4-6Q18-14 32-12Z"
        return oval(-16, -53, 18, 16, color, dark), shape(d, color) + stroke("M-26-42Q-14-48-4-46", dark, 3)
    if name == "curly woman":
        return "", shape(scallops(-22, -2, 33, 46, 14), color) + shape(
            scallops(10, -32, 24, 14, 9), color
        ) + flat_patch(color)
    if name == "short":
        return "", shape(f"{cap}Q-38 12-28 17L-16 6L-10-6L4-8L6-18L33-14Z", color)
    if name == "curly man":
        return "", shape(scallops(-4, -26, 37, 24, 12), color) + shape(
            scallops(-24, -2, 14, 18, 8), color
        ) + oval(-16, -18, 20, 16, color)
    if name == "shaggy":
        d = "M35-8C40-60-52-62-40-2L-46 18L-34 15L-30 30L-20 16L-12 4L-4 10L2-6L12-2L16-16L26-6L28-16Z"
        return "", shape(d, color)
    return shape(scallops(-14, -16, 45, 46, 16), color), shape(
        scallops(-26, -14, 33, 40, 15), color, color
    ) + shape(scallops(6, -36, 24, 16, 9), color, color)


def flat_patch(color: str) -> str:
    """Cover the seam between two clouds of curls."""
    return oval(-4, -26, 16, 12, color)


def _curls(dark: str) -> str:
    curl = "M-22-14q6-8 12 0M8-22q6-8 12 0M-8 0q6-8 12 0M12 6q6-8 12 0M-26 10q6-8 12 0"
    return stroke(curl, dark, 2.5)


def _shine(view: View) -> str:
    x = -12 if view == "from front" else -14
    turned = f'transform="rotate(-24 {x} -27)"'
    return f'<ellipse cx="{x}" cy="-27" rx="9" ry="4.5" {turned} fill="#fff" fill-opacity="0.4"/>'


_DRAWN = {"from front": _front, "from side": _side, "from behind": _behind}
