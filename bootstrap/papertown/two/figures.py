"""The people and robots of Paper Town Two: what they look like, and their drawings, whole and from three sides."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bootstrap.papertown.palette import COLORS, HAIR_COLORS, SKINS
from bootstrap.papertown.two import accents, clothes, faces, robots
from bootstrap.papertown.two import hair as hairs
from bootstrap.papertown.two.drawing import placed
from bootstrap.papertown.two.rig import HEAD, NECK, Joints, View, joints


@dataclass(frozen=True)
class Person:
    """A person's looks, in the words of the tables of `hair`, `faces` and `clothes`.

    `hair` is None under a hat, and `eyes` for plain ones. Sunglasses and eyepatches are combined with plain eyes only,
    and beards with mouths that they do not hide. Overalls go without `bottoms`, whose values are then None.
    """

    sex: str  # woman or man
    skin: str
    hair_color: str
    clothes: str
    clothes_color: str
    shoes_color: str
    mouth: str
    hair: str | None = None
    hat: str | None = None
    hat_color: str | None = None
    bottoms: str | None = None
    bottoms_color: str | None = None
    eyes: str | None = None
    eyewear: str | None = None
    beard: str | None = None


@dataclass(frozen=True)
class Robot:
    """A robot; its colour, which decides its build, is its only attribute."""

    color: str


@dataclass(frozen=True)
class Stance:
    """How a figure is seen; `sway` and `tilt` (degrees) have no tags."""

    view: View
    is_whole: bool  # else nothing below the waist is drawn
    pose: str  # of rig.POSES
    holding: bool
    sway: float
    tilt: float


def draw(figure: Person | Robot, stance: Stance, accent: str | None, prop: str | None) -> tuple[str, float]:
    """Draw a whole figure with its accent and the prop in its hand.

    Returns:
        The drawing, in the units of `rig`, and the y of the ground under it.
    """
    shoulders = robots.SHOULDERS if isinstance(figure, Robot) else clothes.SHOULDERS[figure.sex]
    pose = joints(stance.view, stance.pose, shoulders, stance.holding, stance.sway)
    layers = (
        _robot(figure, stance, pose, prop)
        if isinstance(figure, Robot)
        else _person(figure, stance, pose, accent, prop)
    )
    return "".join(layers), pose.ground


def sample_person(rng: random.Random, sex: str, bare_head: bool = False) -> Person:
    """Return a random person; `bare_head` leaves room for an accent that is worn on the head."""
    hat = rng.choice(hairs.HATS) if rng.random() < 0.12 and not bare_head else None
    eyewear = rng.choice(faces.EYEWEAR) if rng.random() < 0.3 else None
    beard = rng.choice(faces.BEARDS) if sex == "man" and rng.random() < 0.35 else None
    eyes = rng.choice(faces.EYES) if rng.random() < 0.5 and eyewear in (None, "round glasses") else None
    kind = rng.choice(clothes.CLOTHES)
    bottoms = (
        None if kind == "overalls" else rng.choice(clothes.BOTTOMS if sex == "woman" else clothes.BOTTOMS[:2])
    )
    return Person(
        sex=sex,
        skin=rng.choices(list(SKINS), (0.4, 0.3, 0.3))[0],
        hair=None if hat else rng.choice(hairs.HAIR[sex]),
        hair_color=rng.choice(list(HAIR_COLORS)),
        hat=hat,
        hat_color=rng.choice(list(COLORS)) if hat else None,
        clothes=kind,
        clothes_color=rng.choice(list(COLORS)),
        bottoms=bottoms,
        bottoms_color=rng.choice(list(COLORS)) if bottoms else None,
        shoes_color=rng.choice(list(COLORS)),
        mouth=rng.choice(faces.BEARDED_MOUTHS if beard else faces.MOUTHS),
        eyes=eyes,
        eyewear=eyewear,
        beard=beard,
    )


def _person(person: Person, stance: Stance, pose: Joints, accent: str | None, prop: str | None) -> list[str]:
    view, skin = stance.view, SKINS[person.skin]
    outfit = clothes.Outfit(
        person.clothes,
        COLORS[person.clothes_color],
        person.bottoms or "trousers",
        COLORS[person.bottoms_color or person.clothes_color],
        COLORS[person.shoes_color],
        skin,
        person.sex,
    )
    back_hair, head = _head(person, stance, accent)
    left = clothes.arm(outfit, pose.left_arm, view) + clothes.hand(
        pose.left_arm, skin, stance.pose == "waving"
    )
    held = prop or ""
    right = clothes.arm(outfit, pose.right_arm, view) + held + clothes.hand(pose.right_arm, skin)
    seat = clothes.stool(view) if stance.pose == "sitting" else ""
    lower = clothes.legs(outfit, pose.left_leg, pose.right_leg, view)
    lap = clothes.skirt(outfit, view, stance.pose == "sitting")
    lower = lower + seat + lap if view == "from behind" else seat + lower + lap
    lower = lower if stance.is_whole else ""
    layer = accents.ACCENTS.get(accent or "", "")
    back = accents.at_back(accent, view) if accent and layer == "back" else ""
    worn = accents.on_body(accent, view) if accent and layer in ("chest", "neck") else ""
    if accent == "starry cape":
        worn = accents.clasp(view)
    trunk = clothes.torso(outfit, view)
    return _stacked(stance, back, back_hair, lower, trunk, worn, head, left, right)


def _robot(robot: Robot, stance: Stance, pose: Joints, prop: str | None) -> list[str]:
    fill = COLORS[robot.color]
    left = robots.arm(pose.left_arm, fill) + robots.hand(pose.left_arm, fill, stance.pose == "waving")
    right = robots.arm(pose.right_arm, fill) + (prop or "") + robots.hand(pose.right_arm, fill)
    lower = robots.legs(pose.left_leg, pose.right_leg, fill, stance.view)
    seat = clothes.stool(stance.view) if stance.pose == "sitting" else ""
    lower = lower + seat if stance.view == "from behind" else seat + lower
    lower = lower if stance.is_whole else ""
    head = _on_neck(robots.head(robot.color, stance.view), stance.tilt)
    return _stacked(stance, "", "", lower, robots.torso(robot.color, stance.view), "", head, left, right)


def _stacked(
    stance: Stance,
    back: str,
    back_hair: str,
    lower: str,
    trunk: str,
    worn: str,
    head: str,
    left: str,
    right: str,
) -> list[str]:
    """Return the layers of a figure from back to front."""
    if stance.view == "from side":
        return [left, back_hair, lower, trunk, back, worn, head, right]
    left_is_raised, right_is_raised = stance.pose in ("arms up", "waving"), stance.pose == "arms up"
    before = ("" if left_is_raised else left) + ("" if right_is_raised else right)
    after = (left if left_is_raised else "") + (right if right_is_raised else "")
    if stance.view == "from behind":
        return [before, lower, trunk, back, head, worn, after]
    return [back, back_hair, lower, trunk, before, worn, head, after]


def _head(person: Person, stance: Stance, accent: str | None) -> tuple[str, str]:
    """Draw a person's head: the hair behind it, and all else."""
    view, skin, color = stance.view, SKINS[person.skin], HAIR_COLORS[person.hair_color]
    if person.hat:
        behind, before = hairs.under_hat(person.sex, color, view)
        before += hairs.hat(person.hat, COLORS[person.hat_color or ""], view)
    else:
        behind, before = hairs.hair(person.hair or "", person.sex, color, view)
    drawn = faces.head(skin, view)
    if person.beard:
        drawn += faces.beard(person.beard, color, view)
    drawn += faces.face(view, skin, color, person.mouth, person.eyes, person.sex)
    worn = faces.eyewear(person.eyewear, view) if person.eyewear else ""
    if view == "from behind":
        drawn += before + (faces.ears_from_behind(skin) if shows_ears(person) else "")
    elif view == "from side":
        drawn += before + (faces.ear_from_side(skin) if shows_ears(person) else "") + worn
    else:
        drawn += worn + before if person.hat else before + worn
    if accent and accents.ACCENTS[accent] == "head":
        drawn += accents.on_head(accent, view)
    return _on_neck(behind, stance.tilt), _on_neck(drawn, stance.tilt)


def shows_ears(person: Person) -> bool:
    """Whether a person's ears show from behind and from the side."""
    if person.hat:
        return person.sex == "man"
    return (f"curly {person.sex}" if person.hair == "curly" else person.hair) not in hairs.EARLESS


def _on_neck(drawing: str, tilt: float) -> str:
    """Place a drawing of the head, turned around the neck."""
    if not drawing:
        return ""
    return placed(*NECK, placed(HEAD[0], HEAD[1] - NECK[1], drawing), turn=tilt)
