"""The robots: a colour decides the build, as in the first world, and the whole robot has three sides."""

from __future__ import annotations

from bootstrap.papertown.palette import COLORS, shade
from bootstrap.papertown.two.drawing import flat, oval, placed, shape, stroke, tube
from bootstrap.papertown.two.rig import Limb, View

STEEL, SCREEN, GLOW = "#9aa3b2", "#222831", "#8fe3ff"
BUILDS = ("round", "square", "dome")
SHOULDERS = 25.0


def build(color: str) -> str:
    """Return the build of the robots of a colour, given by its name."""
    return BUILDS[list(COLORS).index(color) % len(BUILDS)]


def arm(limb: Limb, fill: str) -> str:
    """Draw an arm with a joint at the shoulder and one at the elbow."""
    joint = oval(*limb.root, 9, 9, fill, shade(fill, 0.7)) + oval(*limb.middle, 6.5, 6.5, shade(STEEL, 0.85))
    return tube((limb.root, limb.middle, limb.end), STEEL, 10) + joint


def hand(limb: Limb, fill: str, is_open: bool = False) -> str:
    """Draw a hand of two claws."""
    x, y = limb.end
    reach, spread = (17, 11) if is_open else (9, 8)
    claws = tube(((x - 4, y - 2), (x - spread, y - reach)), STEEL, 6)
    claws += tube(((x + 4, y - 2), (x + spread, y - reach)), STEEL, 6)
    return claws + oval(x, y, 8, 8, fill, shade(fill, 0.7))


def legs(left: Limb, right: Limb, fill: str, view: View) -> str:
    """Draw both legs, with feet."""
    drawn = ""
    for limb in (left, right):
        foot = "M-9-4Q-8-10 2-10Q18-8 19 9H-9Z" if view == "from side" else "M-12 9Q-12-9 0-9Q12-9 12 9Z"
        size = 0.86 if view != "from side" and limb.end[1] < limb.middle[1] + 24 else 1
        drawn += tube((limb.root, limb.middle, limb.end), STEEL, 11) + oval(
            *limb.middle, 6.5, 6.5, shade(STEEL, 0.85)
        )
        drawn += placed(*limb.end, shape(foot, fill), scale=size)
    return drawn


def torso(color: str, view: View) -> str:
    """Draw the trunk."""
    fill = COLORS[color]
    neck = tube(((0, -70), (0, -56)), STEEL, 14)
    half = 18 if view == "from side" else 26
    kind = build(color)
    corner = {"round": 18, "square": 4, "dome": 12}[kind]
    box = (
        f'<rect x="{-half}" y="-61" width="{2 * half}" height="64" rx="{corner}" fill="{fill}" '
        f'stroke="{shade(fill, 0.7)}" stroke-width="2"/>'
    )
    if view == "from front":
        panel = shape("M-15-48H15V-22H-15Z", shade(fill, 1.5), shade(fill, 0.7))
        lights = "".join(
            oval(x, -41, 3.4, 3.4, c) for x, c in ((-8, "#e5344f"), (0, "#f6c945"), (8, "#3aa655"))
        )
        return neck + box + panel + lights + stroke("M-9-30H9", shade(fill, 0.6), 3)
    if view == "from behind":
        vents = "".join(stroke(f"M-12 {y}H12", shade(fill, 0.6), 3.5) for y in (-46, -37, -28))
        return neck + box + vents + oval(0, -12, 5, 5, STEEL)
    return neck + box + stroke("M4-46H13M4-38H13", shade(fill, 0.6), 3)


def head(color: str, view: View) -> str:
    """Draw the head, in its own coordinates, with what its build wears on top."""
    fill = COLORS[color]
    kind, line = build(color), shade(COLORS[color], 0.7)
    if kind == "round":
        top = stroke("M0-34V-50", STEEL, 4) + oval(0, -53, 6, 6, "#f6c945", "#c08a1d")
        skull = oval(0, 0, 40, 36, fill, line)
    elif kind == "square":
        top = shape("M-12-34V-44Q0-52 12-44V-34Z", "#f6c945", "#c08a1d")
        skull = shape("M-32-35H32Q38-35 38-29V29Q38 35 32 35H-32Q-38 35-38 29V-29Q-38-35-32-35Z", fill, line)
    else:
        top = "".join(
            placed(0, 0, stroke("M0-36V-48", STEEL, 4) + oval(0, -51, 5, 5, "#e5344f", "#a01d33"), turn=t)
            for t in (-24, 24)
        )
        skull = shape("M-38 35V0C-38-50 38-50 38 0V35Q0 39-38 35Z", fill, line)
    ears = (
        "" if view == "from side" else "".join(tube(((s * 41, -6), (s * 41, 8)), STEEL, 8) for s in (-1, 1))
    )
    if view == "from behind":
        plate = shape("M-18-14H18V14H-18Z", shade(fill, 0.86), line)
        screws = "".join(oval(x, y, 2.4, 2.4, STEEL) for x in (-12, 12) for y in (-8, 8))
        return top + ears + skull + plate + screws + stroke("M-7 0H7", line, 3)
    if view == "from side":
        return top + skull + oval(-10, 2, 9, 9, STEEL, shade(STEEL, 0.7)) + _side_face(kind)
    return top + ears + skull + _face(kind)


def _face(kind: str) -> str:
    if kind == "round":
        screen = flat("M-28-14Q0-20 28-14Q34-2 28 8Q0 13-28 8Q-34-2-28-14Z", SCREEN)
        return (
            screen
            + oval(-12, -3, 5.5, 6, GLOW)
            + oval(12, -3, 5.5, 6, GLOW)
            + stroke("M-9 19Q0 27 9 19", SCREEN, 3.5)
        )
    if kind == "square":
        eyes = flat("M-28-18H28V4H-28Z", SCREEN) + flat("M-20-12H-8V-2H-20ZM8-12H20V-2H8Z", GLOW)
        return (
            eyes + flat("M-20 13H20V26H-20Z", "#e9edf2") + stroke("M-10 14V25M0 14V25M10 14V25", SCREEN, 2.5)
        )
    eyes = "".join(
        oval(x, -6, 11, 11, "#ffffff", SCREEN) + stroke(f"M{x - 5}-4Q{x}-12 {x + 5}-4", SCREEN, 3.4)
        for x in (-15, 15)
    )
    return eyes + flat("M-14 13Q0 17 14 13Q12 27 0 27Q-12 27-14 13Z", SCREEN)


def _side_face(kind: str) -> str:
    if kind == "round":
        return (
            flat("M10-15Q24-18 34-13Q40-2 34 8Q24 12 10 9Q6-2 10-15Z", SCREEN)
            + oval(26, -3, 5, 6, GLOW)
            + stroke("M20 20Q27 23 32 17", SCREEN, 3.5)
        )
    if kind == "square":
        mouth = flat("M14 13H37V26H14Z", "#e9edf2") + stroke("M22 14V25M30 14V25", SCREEN, 2.5)
        return flat("M8-18H37V4H8Z", SCREEN) + flat("M20-12H32V-2H20Z", GLOW) + mouth
    return (
        oval(22, -6, 11, 11, "#ffffff", SCREEN)
        + stroke("M17-4Q22-12 27-4", SCREEN, 3.4)
        + flat("M12 14Q26 17 38 13Q35 27 24 27Q13 26 12 14Z", SCREEN)
    )
