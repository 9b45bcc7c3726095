"""Bodies and what they wear, from three sides: torsos with clothes, arms with sleeves, legs, shoes, and a stool."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.papertown.palette import shade
from bootstrap.papertown.two.drawing import INK, along, flat, oval, placed, shape, stroke, tube
from bootstrap.papertown.two.rig import Limb, View

CLOTHES = ("t-shirt", "hoodie", "sweater", "overalls", "blazer")
BOTTOMS = ("trousers", "shorts", "skirt")  # overalls are worn without
SHORT_SLEEVED = ("t-shirt", "overalls")
WHITE, WOOD = "#f7f5ee", "#b3793f"
SHOULDERS = {"woman": 22.0, "man": 28.0}  # half of the width, seen from front
WAISTS = {"woman": 16.0, "man": 25.0}
HIPS = {"woman": 22.0, "man": 24.0}


@dataclass(frozen=True)
class Outfit:
    """What a figure wears, in colours as "#rrggbb"."""

    kind: str  # of CLOTHES
    color: str
    bottoms: str  # of BOTTOMS; ignored with overalls
    bottoms_color: str
    shoes_color: str
    skin: str
    sex: str

    @property
    def below(self) -> tuple[str, str]:
        """What covers the legs, and its colour."""
        return ("trousers", self.color) if self.kind == "overalls" else (self.bottoms, self.bottoms_color)


def arm(outfit: Outfit, limb: Limb, view: View) -> str:
    """Draw an arm with its sleeve, without the hand."""
    points = (limb.root, limb.middle, limb.end)
    if outfit.kind in SHORT_SLEEVED:
        color = WHITE if outfit.kind == "overalls" else outfit.color
        sleeve = tube((limb.root, along(limb.root, limb.middle, 0.72)), color, 20)
        return tube(points, outfit.skin, 13) + sleeve
    drawn = tube(points, outfit.color, 17)
    cuff = (along(limb.middle, limb.end, 0.72), along(limb.middle, limb.end, 0.86))
    if outfit.kind == "blazer":
        drawn += tube(cuff, WHITE, 15)
        if view != "from front":
            drawn += oval(*limb.middle, 5, 6, "#8a5a2e")
    elif outfit.kind == "sweater":
        drawn += tube(cuff, _light(outfit.color), 17)
    else:
        drawn += tube(cuff, shade(outfit.color, 0.85), 17)
    return drawn


def hand(limb: Limb, skin: str, is_open: bool = False) -> str:
    """Draw the hand at the end of an arm; an open one shows its fingers."""
    x, y = limb.end
    fingers = ""
    if is_open:
        fingers = "".join(
            tube(((x, y - 2), (x + dx, y + dy)), skin, 7)
            for dx, dy in ((-11, -5), (-6, -14), (2, -16), (10, -11))
        )
    return (
        fingers + oval(x, y, 8, 8, skin, shade(skin, 0.75)) + (oval(x, y, 6.5, 6.5, skin) if is_open else "")
    )


def legs(outfit: Outfit, left: Limb, right: Limb, view: View) -> str:
    """Draw both legs with shoes, the left one behind the other."""
    kind, color = outfit.below
    drawn = ""
    for limb, is_far in ((left, view == "from side"), (right, False)):
        skin, cloth = (shade(c, 0.86) if is_far else c for c in (outfit.skin, color))
        points = (limb.root, limb.middle, limb.end)
        if kind == "trousers":
            drawn += tube(points, cloth, 21)
        else:
            drawn += tube(points, skin, 14)
        if kind == "shorts":
            drawn += tube((limb.root, along(limb.root, limb.middle, 0.8)), cloth, 22)
        drawn += shoe(limb, outfit.shoes_color, view)
    return drawn


def shoe(limb: Limb, color: str, view: View) -> str:
    """Draw the shoe at the end of a leg."""
    sole = WHITE if color != WHITE else "#c9c6bd"
    if view == "from side":
        d = "M-10-7H6Q20-3 20 5V9H-10Z"
        lifted = limb.end[0] < limb.middle[0] - 12  # the toes of the leg behind point down
        drawn = shape(d, color) + stroke("M-9 9H19", sole, 3)
        return placed(*limb.end, drawn, turn=28 if lifted else 0)
    drawn = shape("M-9-6Q0-10 9-6Q12 2 12 9H-12Q-12 2-9-6Z", color) + stroke("M-11 9H11", sole, 3)
    if view == "from behind":
        drawn += stroke("M0-6V5", shade(color, 0.7))
    return placed(*limb.end, drawn, scale=0.86 if limb.end[1] < limb.middle[1] + 24 else 1)


def skirt(outfit: Outfit, view: View, is_sitting: bool) -> str:
    """Draw a skirt over the legs; nothing for other clothes."""
    kind, color = outfit.below
    if kind != "skirt":
        return ""
    if view == "from side":
        d = "M-16-8H15L36-6Q40 4 36 12L-18 12Z" if is_sitting else "M-16-8H15L25 31Q0 37-24 31Z"
    else:
        d = "M-20-8H20L28 16Q0 24-28 16Z" if is_sitting else "M-20-8H20L31 30Q0 37-31 30Z"
    folds = "" if is_sitting else stroke("M-8 4L-11 26M8 4L11 26", shade(color, 0.8))
    return shape(d, color) + folds


def stool(view: View) -> str:
    """Draw the stool that a sitting figure sits on."""
    x, y, half = (-6, 10, 29) if view == "from side" else (0, 7, 36)
    dark = shade(WOOD, 0.75)
    feet = "".join(tube(((x + s * (half - 8), y + 6), (x + s * (half - 5), 52)), dark, 6) for s in (-1, 1))
    return feet + shape(
        f"M{x - half} {y}h{2 * half}q3 0 3 4v3q0 4-3 4h{-2 * half}q-3 0-3-4v-3q0-4 3-4Z", WOOD
    )


def torso(outfit: Outfit, view: View) -> str:
    """Draw the trunk, with the neck and what it wears."""
    neck = tube(((0, -70), (0, -56)), shade(outfit.skin, 0.9), 17)
    return neck + (_from_side(outfit) if view == "from side" else _from_front(outfit, view == "from behind"))


def _trunk(outfit: Outfit, color: str, hem: float) -> str:
    s, w, h = SHOULDERS[outfit.sex], WAISTS[outfit.sex], HIPS[outfit.sex]
    return shape(
        f"M{-s - 4}-46Q{-s - 3}-60 {-s + 10}-60H{s - 10}Q{s + 3}-60 {s + 4}-46L{w}-24L{h} {hem}Q0 {hem + 6} {-h} {hem}"
        f"L{-w}-24Z",
        color,
    )


def _from_front(outfit: Outfit, behind: bool) -> str:
    kind, color, s = outfit.kind, outfit.color, SHOULDERS[outfit.sex]
    dark, light = shade(color, 0.72), _light(color)
    w = WAISTS[outfit.sex]
    if kind == "t-shirt":
        neckline = (
            shape("M-12-60Q0-44 12-60Z", outfit.skin, dark)
            if not behind
            else stroke("M-11-59Q0-54 11-59", dark)
        )
        return _trunk(outfit, color, 4) + neckline
    if kind == "hoodie":
        body = _trunk(outfit, color, 6) + stroke(f"M{-w + 2} 2Q0 7 {w - 2} 2", dark, 3)
        if behind:
            return body + shape("M-21-62Q0-70 21-62Q26-38 0-24Q-26-38-21-62Z", shade(color, 0.86))
        hood = shape("M-25-56Q-20-71 0-71Q20-71 25-56Q12-42 0-40Q-12-42-25-56Z", shade(color, 0.86))
        cords = stroke("M-7-46V-30M7-46V-30", WHITE, 3)
        return (
            body
            + shape("M-12-20H12L17-3H-17Z", shade(color, 0.92))
            + hood
            + flat("M-10-64H10L0-47Z", outfit.skin)
            + cords
        )
    if kind == "sweater":
        band = flat(f"M{-s + 2}-41H{s - 2}L{w + 1}-29H{-w - 1}Z", light)
        zigzag = "M-15-32L-9-38L-3-32L3-38L9-32L15-38"
        collar = shape("M-12-70Q0-66 12-70L13-56Q0-52-13-56Z", color)
        hem = stroke(f"M{-HIPS[outfit.sex] + 2} 1Q0 6 {HIPS[outfit.sex] - 2} 1", light, 4)
        return _trunk(outfit, color, 4) + band + stroke(zigzag, dark, 2.5) + hem + collar
    if kind == "overalls":
        shirt = _trunk(outfit, WHITE, 4)
        h = HIPS[outfit.sex]
        lower = f"M{-w - 1}-22H{w + 1}L{h} 6Q0 12 {-h} 6Z"
        if behind:
            straps = stroke("M-15-58L12-22M15-58L-12-22", dark, 9) + stroke(
                "M-15-58L12-22M15-58L-12-22", color, 6.5
            )
            return shirt + straps + shape(lower, color)
        straps = stroke("M-14-58V-40M14-58V-40", dark, 9) + stroke("M-14-58V-40M14-58V-40", color, 6.5)
        bib = shape("M-15-44H15V-18H-15Z", color) + shape("M-8-34H8V-24H-8Z", shade(color, 0.88))
        return (
            shirt
            + shape(lower, color)
            + straps
            + bib
            + "".join(oval(x, -41, 3, 3, "#f6c945") for x in (-14, 14))
        )
    body = _trunk(outfit, color, 9)
    if behind:
        return body + shape("M-16-61Q0-54 16-61L13-52Q0-46-13-52Z", dark) + stroke("M0-48V10", dark, 3)
    shirt = flat("M-10-61L0-24L10-61Z", WHITE) + flat("M-3-56H3L5-38L0-30L-5-38Z", INK)
    lapels = shape("M-13-61L-1-22L-17-40Z", dark) + shape("M13-61L1-22L17-40Z", dark)
    return body + stroke("M0-22V11", dark, 2.5) + shirt + lapels + oval(4, -12, 2.2, 2.2, WHITE)


def _from_side(outfit: Outfit) -> str:
    kind, color = outfit.kind, outfit.color
    dark, light = shade(color, 0.72), _light(color)
    chest, back = (18, -19) if outfit.sex == "man" else (17, -14)
    belly = 17 if outfit.sex == "man" else 11

    def trunk(fill: str, hem: float) -> str:
        d = (
            f"M{back}-46Q{back + 1}-60-6-60H6Q{chest}-58 {chest}-44Q{chest}-34 {belly}-26"
            f"L16 {hem}Q0 {hem + 5}-17 {hem}L{back + 2}-26Z"
        )
        return shape(d, fill)

    if kind == "t-shirt":
        return trunk(color, 4) + stroke("M-8-60Q2-56 9-58", dark)
    if kind == "hoodie":
        hood = shape("M6-68Q-12-72-24-62Q-32-46-20-38Q-8-40 12-52Z", shade(color, 0.86))
        return (
            trunk(color, 6)
            + shape("M4-20L15-20L17-4H0Z", shade(color, 0.92))
            + hood
            + stroke("M12-50V-34", WHITE, 3)
        )
    if kind == "sweater":
        band = flat(f"M{back + 1}-41H{chest - 1}L{belly + 1}-29H{back + 2}Z", light)
        zigzag = stroke("M-12-32L-6-38L0-32L6-38L12-32", dark, 2.5)
        return (
            trunk(color, 4)
            + band
            + zigzag
            + shape("M-10-70Q0-66 11-68L11-56Q0-52-11-56Z", color)
            + stroke("M-15 1Q0 6 14 1", light, 4)
        )
    if kind == "overalls":
        bib = shape(f"M3-44H{chest - 1}L{belly}-22L16 6Q0 11-17 6L-13-22H3Z", color)
        return (
            trunk(WHITE, 4)
            + stroke("M-10-24Q-10-54 2-58Q8-54 8-42", dark, 8)
            + stroke("M-10-24Q-10-54 2-58Q8-54 8-42", color, 5.5)
            + bib
        )
    shirt = flat(f"M5-61L10-60L{chest}-46L{belly + 3}-28L{belly - 1}-27Z", WHITE)
    return trunk(color, 9) + shirt + shape(f"M0-61L8-58L{belly}-25L6-40Z", dark)


def _light(color: str) -> str:
    return shade(color, 1.62)
