"""Heads and faces, from three sides: skin, ears, eyes, mouths, beards and eyewear.

Coordinates are those of the head: its middle is the origin. Seen from the side, it looks to the right.
"""

from __future__ import annotations

from bootstrap.papertown.palette import shade
from bootstrap.papertown.two.drawing import INK, flat, mirrored, oval, placed, shape, stroke
from bootstrap.papertown.two.rig import View

EYES = ("closed eyes", "happy eyes", "wink", "heart eyes")
MOUTHS = ("smile", "open mouth", "sad", "serious", "tongue out")
EYEWEAR = ("round glasses", "sunglasses", "eyepatch")
BEARDS = ("beard", "moustache")
BEARDED_MOUTHS = ("smile", "open mouth", "tongue out")  # the mouths that a beard does not hide

FACE = "M-35-6C-35-48 35-48 35-6C35 20 21 38 0 38C-21 38-35 20-35-6Z"
PROFILE = "M-36-4C-38-50 34-50 34-10L34-2L40 9Q40 13 34 13L34 20Q34 36 14 38C-14 40-35 24-36-4Z"
FRONT_EYE, SIDE_EYE = (15.0, 3.0), (21.0, 2.0)
MOUTH_RED, TONGUE, HEART = "#8e2f3c", "#ef6f82", "#e5344f"


def head(skin: str, view: View) -> str:
    """Draw a bare head without features."""
    ear = oval(-37, 5, 7, 9, skin, shade(skin, 0.75))
    if view == "from side":
        return shape(PROFILE, skin)
    return ear + mirrored(ear) + shape(FACE, skin)


def ears_from_behind(skin: str) -> str:
    """Draw the ears alone: from behind they are drawn after the hair."""
    ear = oval(-38, 5, 6, 9, skin, shade(skin, 0.75))
    return ear + mirrored(ear)


def ear_from_side(skin: str) -> str:
    """Draw the near ear."""
    return oval(-6, 6, 7, 9, skin, shade(skin, 0.75)) + stroke("M-7 3Q-2 5-6 10", shade(skin, 0.75))


def face(view: View, skin: str, brow: str, mouth: str, eyes: str | None, sex: str) -> str:
    """Draw eyes, brows, nose and mouth; nothing from behind."""
    if view == "from behind":
        return ""
    dark = shade(skin, 0.72)
    blush = "#e8505b" if sex == "woman" else shade(skin, 0.85)
    if view == "from side":
        x, y = SIDE_EYE
        cheek = f'<ellipse cx="12" cy="16" rx="6" ry="4" fill="{blush}" fill-opacity="0.3"/>'
        brows = stroke(f"M{x - 7}-11Q{x}-16 {x + 7}-12", brow, 4)
        return (
            cheek
            + placed(x, y, _eye(eyes if eyes != "wink" else None, sex))
            + brows
            + placed(24, 23, _mouth(mouth, 0.72))
        )
    x, y = FRONT_EYE
    cheeks = "".join(
        f'<ellipse cx="{s * 23}" cy="15" rx="6.5" ry="4" fill="{blush}" fill-opacity="0.3"/>' for s in (-1, 1)
    )
    left, right = ("closed eyes", None) if eyes == "wink" else (eyes, eyes)
    drawn = placed(-x, y, mirrored(_eye(left, sex))) + placed(x, y, _eye(right, sex))
    brows = "".join(stroke(f"M{s * 8}-11Q{s * x:.0f}-16 {s * 22}-11", brow, 4) for s in (-1, 1))
    return cheeks + drawn + brows + stroke("M-3 11Q0 14 3 11", dark, 2.5) + placed(0, 22, _mouth(mouth, 1))


def beard(kind: str, color: str, view: View) -> str:
    """Draw a beard, which goes under the mouth, or a moustache."""
    if view == "from behind":
        return ""
    if kind == "beard":
        if view == "from side":
            return shape("M-3 4L4 14Q14 18 22 16L36 17Q39 28 34 36Q24 48 8 44Q-14 38-14 12Z", color)
        return shape("M-36-2Q-39 46 0 47Q39 46 36-2L29 10Q22 17 0 16Q-22 17-29 10Z", color)
    if view == "from side":
        return shape("M38 13Q30 12 22 16Q12 22 10 13Q8 26 20 24Q34 22 38 18Z", color)
    return shape(
        "M0 14Q8 10 17 17Q24 20 27 13Q28 26 15 24Q6 24 0 18Q-6 24-15 24Q-28 26-27 13Q-24 20-17 17Q-8 10 0 14Z",
        color,
    )


def eyewear(kind: str, view: View) -> str:
    """Draw what a face wears; nothing from behind."""
    if view == "from behind":
        return ""
    x, y = SIDE_EYE if view == "from side" else FRONT_EYE
    if kind == "eyepatch":
        patch = shape("M-11-8Q0-13 11-8Q13 9 0 12Q-13 9-11-8Z", INK, "#000000")
        if view == "from side":
            return stroke("M-34-14L12-6L33-14", INK, 3.5) + placed(x, y, patch)
        return stroke("M-35-16L-20-4L34-24", INK, 3.5) + placed(-x, y, patch)
    if kind == "sunglasses":
        lens = flat("M-13-8Q0-11 13-8Q14 8 3 10Q-12 11-13-8Z", INK) + stroke("M-7-4L-3 3", "#8892a6", 3)
        frame = stroke("M-5 1H8", INK, 4) if view == "from side" else stroke("M-34-4H34", INK, 4)
    else:
        lens = f'<circle r="11.5" fill="#ffffff" fill-opacity="0.28" stroke="{INK}" stroke-width="3.4"/>'
        frame = (
            stroke("M-5 4H9", INK, 3.2)
            if view == "from side"
            else stroke("M-4 2Q0-1 4 2M-26 1H-35M26 1H35", INK, 3.2)
        )
    if view == "from side":
        return frame + placed(x, y, lens, scale=0.9)
    return frame + placed(-x, y, lens) + placed(x, y, lens)


def _eye(eyes: str | None, sex: str) -> str:
    lashes = stroke("M5-4L10-8M6 0L11-2", INK, 2.2) if sex == "woman" else ""
    if eyes == "closed eyes":
        return stroke("M-7 0Q0 7 7 0", INK, 3.4) + (stroke("M6 2L10 5", INK, 2.2) if sex == "woman" else "")
    if eyes == "happy eyes":
        return stroke("M-7 3Q0-8 7 3", INK, 3.6)
    if eyes == "heart eyes":
        return flat("M0 10C-6 5-11 0-10-5C-9-10-2-10 0-5C2-10 9-10 10-5C11 0 6 5 0 10Z", HEART)
    return oval(0, 0, 5.2, 6.8, INK) + oval(1.6, -2.4, 1.8, 2.2, "#ffffff") + lashes


def _mouth(mouth: str, squeeze: float) -> str:
    if mouth == "smile":
        drawn = stroke("M-11-2Q0 10 11-2", MOUTH_RED, 3.6)
    elif mouth == "open mouth":
        drawn = oval(0, 2, 9, 9, MOUTH_RED) + oval(0, 7, 5.5, 3.2, TONGUE)
    elif mouth == "sad":
        drawn = stroke("M-10 6Q0-6 10 6", MOUTH_RED, 3.6)
    elif mouth == "serious":
        drawn = stroke("M-9 2H9", MOUTH_RED, 3.6)
    else:
        drawn = flat("M-12-3Q0 1 12-3Q9 10 0 10Q-9 10-12-3Z", MOUTH_RED) + shape(
            "M-5 4H6V12Q6 17 0 17Q-5 17-5 12Z", TONGUE
        )
    return f'<g transform="scale({squeeze} 1)">{drawn}</g>'
