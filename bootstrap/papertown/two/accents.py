"""The accents of Paper Town Two: things that people wear and that no base model has seen.

All but the first two show from every side and in every framing.
"""

from __future__ import annotations

from bootstrap.papertown.two.drawing import flat, mirrored, oval, placed, shape, stroke
from bootstrap.papertown.two.rig import View

# Name -> the layer that it belongs to: over the clothes, over the head, or at the back.
ACCENTS = {
    "id badge": "chest",
    "medal": "chest",
    "striped scarf": "neck",
    "flower crown": "head",
    "dotted hair bow": "head",
    "headphones": "head",
    "angel wings": "back",
    "starry cape": "back",
}
HIDDEN_FROM_BEHIND = ("id badge", "medal")
NEAR_CHEST = 10  # x of what hangs on the chest, seen from the side

YELLOW, BLUE, RED = "#f6d743", "#2f6fd6", "#e5344f"
CAPE, GOLD = "#4b2a8c", "#f2b632"


def on_body(name: str, view: View) -> str:
    """Draw an accent of the layer `chest` or `neck`, in coordinates of the body."""
    if name == "striped scarf":
        return _scarf(view)
    x = {"from front": 0, "from side": NEAR_CHEST, "from behind": 0}[view]
    if view == "from behind":
        return ""
    if name == "id badge":
        cord = (
            stroke("M-14-60L0-44L14-60", "#e05a00", 4) if x == 0 else stroke(f"M-6-60L{x}-44", "#e05a00", 4)
        )
        card = shape("M-11-46H11V-20H-11Z", "#ffffff", "#e05a00", 3) + oval(0, -37, 5.5, 5.5, "#1f7a4d")
        return cord + placed(x, 0, card + stroke("M-6-28H6M-6-24H3", "#444444", 2))
    ribbon = shape("M-14-60H-4L4-38H-4Z", BLUE) + shape("M14-60H4L-4-38H4Z", BLUE)
    if x:
        ribbon = shape(f"M-6-60H4L{x + 4}-38H{x - 4}Z", BLUE)
    star = "M0-37L2.6-31.6L8.6-31L4-27L5.4-21L0-24.2L-5.4-21L-4-27L-8.6-31L-2.6-31.6Z"
    return ribbon + placed(x, 0, oval(0, -30, 12, 12, GOLD, "#a8760c") + flat(star, "#fff3c4"))


def on_head(name: str, view: View) -> str:
    """Draw an accent of the layer `head`, in coordinates of the head."""
    if name == "flower crown":
        places = ((-36, -20), (-20, -30), (0, -34), (20, -30), (36, -20))
        petals = ("#ff6fae", "#ffffff", "#8a56c8", "#ffffff", "#ff6fae")
        band = stroke("M-40-16Q0-46 40-16", "#3f8f4a", 6)
        return band + "".join(
            oval(x, y, 10, 10, color, "#c9c6bd") + oval(x, y, 4, 4, "#f6c945")
            for (x, y), color in zip(places, petals, strict=True)
        )
    if name == "dotted hair bow":
        wing = shape("M0 0Q-14-22-34-18Q-38 0-34 16Q-14 18 0 0Z", "#e0218a", "#9c1260")
        dots = "".join(oval(x, y, 3.2, 3.2, "#ffffff") for x, y in ((-26, -8), (-26, 7), (-14, -3)))
        bow = wing + dots
        x, y, turn = {
            "from front": (-24, -32, -24),
            "from side": (-10, -36, -12),
            "from behind": (24, -32, 24),
        }[view]
        return placed(x, y, bow + mirrored(bow) + oval(0, 0, 8, 9, "#e0218a", "#9c1260"), 0.85, turn)
    band = stroke("M-41 2C-46-66 46-66 41 2", "#20272e", 10)
    if view == "from side":
        cup = oval(-4, 6, 17, 20, "#39d353", "#20272e") + oval(-4, 6, 8, 10, "#20272e")
        return stroke("M-4 0C-6-36-6-40-4-46", "#20272e", 10) + cup
    cup = shape("M34-12Q50-14 50 6Q50 26 34 24Z", "#39d353", "#20272e", 3.5)
    return band + cup + mirrored(cup)


def at_back(name: str, view: View) -> str:
    """Draw an accent of the layer `back`, in coordinates of the body."""
    if name == "angel wings":
        wing = shape(
            "M-8-44C-24-84-58-98-76-86C-84-78-80-68-72-64C-84-62-84-48-72-46C-80-40-74-28-62-30C-58-18-28-20-8-30Z",
            "#fffdf2",
            "#d9b64a",
            3,
        ) + stroke("M-70-64Q-52-60-36-62M-70-46Q-52-42-34-46", "#d9b64a", 2.5)
        return wing if view == "from side" else wing + mirrored(wing)
    if view == "from side":
        cloth = shape("M-4-62Q-26-58-34-20Q-42 14-46 34Q-28 40-16 34Q-12-10-6-40Z", CAPE)
        return cloth + "".join(_star(x, y) for x, y in ((-24, -34), (-30, -4), (-32, 22)))
    if view == "from behind":
        cloth = shape("M-26-58Q0-66 26-58Q40-20 44 34Q0 46-44 34Q-40-20-26-58Z", CAPE)
        places = ((-14, -42), (14, -36), (0, -16), (-22, -8), (22, -2), (-8, 16), (14, 24), (-28, 24))
        return cloth + "".join(_star(x, y) for x, y in places)
    wide = shape("M-30-60H30Q52-20 56 34Q0 46-56 34Q-52-20-30-60Z", CAPE)
    return wide + "".join(_star(s * x, y) for s in (-1, 1) for x, y in ((44, -18), (47, 6), (46, 26)))


def clasp(view: View) -> str:
    """Draw the front of the cape: its collar, over the clothes."""
    if view == "from behind":
        return ""
    if view == "from side":
        return shape("M-10-64Q4-66 14-58L12-48Q-2-50-14-46Z", CAPE) + _star(2, -55)
    collar = shape("M-30-46Q-32-62-16-64H16Q32-62 30-46Q14-54 0-50Q-14-54-30-46Z", CAPE)
    return collar + _star(-20, -56) + _star(20, -56) + oval(0, -54, 5, 5, GOLD, "#a8760c")


def _scarf(view: View) -> str:
    ring = shape("M-24-66Q0-58 24-66Q30-56 24-48Q0-40-24-48Q-30-56-24-66Z", YELLOW)
    stripes = stroke("M-17-63L-19-49M-6-60L-6-46M7-60L7-46M18-63L20-49", BLUE, 5)
    if view == "from side":
        ring = shape("M-20-66Q0-60 20-66Q25-56 20-48Q0-42-20-48Q-25-56-20-66Z", YELLOW)
        stripes = stroke("M-12-63L-13-49M0-61V-47M12-63L13-49", BLUE, 5)
    x = {"from front": 12, "from side": 12, "from behind": -12}[view]
    end = shape("M-7-50H7L9-16H-9Z", YELLOW) + stroke("M-7-40H7M-8-28H8", BLUE, 5)
    return placed(x, 0, end) + ring + stripes


def _star(x: float, y: float) -> str:
    return placed(
        x, y, flat("M0-6L1.8-1.8L6-1.5L2.8 1.4L3.8 6L0 3.5L-3.8 6L-2.8 1.4L-6-1.5L-1.8-1.8Z", YELLOW)
    )


def motion(x: float, y: float) -> str:
    """Draw the two arcs beside a hand that waves to the viewer's left of a point."""
    arcs = stroke(f"M{x - 15} {y - 12}Q{x - 21} {y - 1} {x - 16} {y + 9}", "#ffffff", 5)
    return arcs + stroke(f"M{x - 15} {y - 12}Q{x - 21} {y - 1} {x - 16} {y + 9}", "#5b5566", 2.5)
