"""Where the joints of a figure are, for each view and pose.

Coordinates are units of the figure: the hips are at the origin, x grows to the viewer's right, y downwards. A figure
seen from the side looks to the right. Its parts are named by the viewer: from the side, `left` is the far one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bootstrap.papertown.two.drawing import Point

View = Literal["from front", "from side", "from behind"]
VIEWS: tuple[View, ...] = ("from front", "from side", "from behind")
POSES = ("standing", "sitting", "walking", "arms up", "waving")
RAISED = ("arms up", "waving")  # the poses that arms show; the others are shown by the legs alone

NECK: Point = (0, -60)  # the head turns around it
HEAD: Point = (0, -100)  # its middle
SHOULDER = -51.0  # y


@dataclass(frozen=True)
class Limb:
    """The three joints of an arm or a leg: shoulder, elbow and hand, or hip, knee and ankle."""

    root: Point
    middle: Point
    end: Point


@dataclass(frozen=True)
class Joints:
    """All joints of a figure, and where the ground is."""

    left_arm: Limb
    right_arm: Limb  # the one that holds a prop
    left_leg: Limb
    right_leg: Limb
    ground: float  # y


def joints(view: View, pose: str, shoulders: float, holding: bool, sway: float) -> Joints:
    """Return the joints of a figure.

    Args:
        shoulders: half of the width of the shoulders, seen from front.
        holding: whether the right hand holds something.
        sway: -1 to 1, how raised or swung the arms are; no tag describes it.
    """
    found = (
        _from_side(pose, holding, sway)
        if view == "from side"
        else _from_front(pose, shoulders, holding, sway)
    )
    if (
        view == "from behind" and pose == "walking"
    ):  # the lifted foot of the other leg, so that both views differ
        found = replace(found, left_leg=_mirror(found.right_leg), right_leg=_mirror(found.left_leg))
    return found


def _from_front(pose: str, shoulders: float, holding: bool, sway: float) -> Joints:
    s = shoulders
    down = Limb((s, SHOULDER), (s + 7, -32), (s + 6 + 3 * sway, -9))
    arms = {"left": down, "right": down}
    if pose == "sitting":
        arms = dict.fromkeys(arms, Limb((s, SHOULDER), (s + 8, -28), (17, 5)))
    elif pose == "walking":
        arms["left"] = Limb((s, SHOULDER), (s + 13, -35), (s + 23 + 3 * sway, -18))
        arms["right"] = Limb((s, SHOULDER), (s + 10, -33), (s - 6 - 3 * sway, -25))
    if holding:
        arms["right"] = Limb((s, SHOULDER), (s + 10, -32), (s + 24, -43 - 4 * sway))
    if pose == "arms up":
        arms = dict.fromkeys(arms, Limb((s, SHOULDER), (s + 20, -68), (s + 25 + 4 * sway, -106)))
    elif pose == "waving":
        arms["left"] = Limb((s, SHOULDER), (s + 21, -60), (s + 31 + 5 * sway, -93))
    legs = {"left": Limb((10, -2), (11, 30), (11, 60)), "right": Limb((10, -2), (11, 30), (11, 60))}
    ground = 70.0
    if pose == "walking":
        legs = {"left": Limb((10, -2), (13, 30), (16, 60)), "right": Limb((10, -2), (18, 20), (20, 37))}
    elif pose == "sitting":
        legs = dict.fromkeys(legs, Limb((10, 0), (14, 14), (14, 43)))
        ground = 53.0
    return Joints(_mirror(arms["left"]), arms["right"], _mirror(legs["left"]), legs["right"], ground)


def _from_side(pose: str, holding: bool, sway: float) -> Joints:
    root = (-3.0, SHOULDER)
    far, near = Limb(root, (0, -30), (9, -10)), Limb(root, (-6, -30), (1 + 3 * sway, -9))
    if pose == "sitting":
        far, near = Limb(root, (6, -28), (26, -8)), Limb(root, (3, -27), (22, -6))
    elif pose == "walking":
        far = Limb(root, (12, -34), (27 + 2 * sway, -20))
        near = Limb(root, (-16, -35), (-20 - 3 * sway, -14))
    if holding:
        near = Limb(root, (2, -29), (25, -37 - 4 * sway))
    if pose == "arms up":
        far, near = Limb(root, (34, -60), (60, -82 - 3 * sway)), Limb(root, (30, -64), (50 + 3 * sway, -106))
    elif pose == "waving":
        far = Limb(root, (35, -54), (66 + 3 * sway, -86))
    far_leg, near_leg = Limb((2, -2), (5, 30), (4, 60)), Limb((-2, -2), (-1, 30), (-3, 60))
    ground = 70.0
    if pose == "walking":
        far_leg, near_leg = Limb((0, -2), (-8, 28), (-27, 51)), Limb((0, -2), (14, 27), (19, 59))
    elif pose == "sitting":
        far_leg, near_leg = Limb((0, -1), (34, 1), (36, 41)), Limb((-2, 0), (30, 4), (31, 43))
        ground = 53.0
    return Joints(far, near, far_leg, near_leg, ground)


def _mirror(limb: Limb) -> Limb:
    return Limb(*((-x, y) for x, y in (limb.root, limb.middle, limb.end)))
