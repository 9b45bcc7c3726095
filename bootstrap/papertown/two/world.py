"""Paper Town Two: whole figures, in three framings, from three sides, in five poses, every tag of a picture known.

    scene = sample(random.Random(7))
    picture, caption = rendering.render(scene), ", ".join(tags(scene))

It is the town of `bootstrap.papertown.world` with the same people, clothes, props, walls and places, all drawn
here. What a framing or a view hides has no tag: there is no mouth from behind, and there are no shoes in a portrait.
Pictures of one caption differ: in where the figure stands and how large it is, how it holds its head and arms, and in
how much of the place is seen. No tag describes that.

Accents are drawn only on request, as in the first world.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from bootstrap.papertown import scenery
from bootstrap.papertown.palette import COLORS
from bootstrap.papertown.tags_two import tags_of
from bootstrap.papertown.things import DESK_ITEMS, PROPS, WALL_ITEMS
from bootstrap.papertown.two import accents, clothes
from bootstrap.papertown.two.figures import Person, Robot, sample_person, shows_ears
from bootstrap.papertown.two.rig import POSES, RAISED, VIEWS, View
from bootstrap.papertown.world import Prop

Framing = Literal["portrait", "upper body", "full body"]
FRAMINGS: tuple[Framing, ...] = ("portrait", "upper body", "full body")


@dataclass(frozen=True)
class Variation:
    """What differs between pictures of one caption; each value lies in -1..1."""

    x: float = 0
    y: float = 0
    scale: float = 0
    tilt: float = 0
    sway: float = 0
    pan: float = 0
    zoom: float = 0
    item_x: float = 0
    item_y: float = 0

    @classmethod
    def sample(cls, rng: random.Random) -> Variation:
        """Return a random variation."""
        return cls(*(round(rng.uniform(-1, 1), 3) for _ in range(9)))


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows. Values are keys of the tables of this package and of the first world.

    Exactly one of `outdoors` and `wall` is set. `wall_item` requires a wall, `desk_item` a desk, `accent` a person, and
    a desk the framing `upper body`. Without a figure, `framing`, `view` and `pose` mean nothing.
    """

    figure: Person | Robot | None
    framing: Framing = "upper body"
    view: View = "from front"
    pose: str = "standing"
    prop: Prop | None = None
    wall: str | None = None
    wall_item: str | None = None
    outdoors: str | None = None
    desk: bool = False
    desk_item: str | None = None
    accent: str | None = None
    variation: Variation = field(default_factory=Variation)


def sample(rng: random.Random, accent: str | None = None) -> Scene:
    """Return a random scene; with `accent` (one of `accents.ACCENTS`), one where a person wears it and it shows.

    The same state of `rng` and the same accent always give the same scene.
    """
    kind = rng.choices(("woman", "man", "robot", "nobody"), (0.44, 0.38, 0.12, 0.06))[0]
    if accent and kind not in ("woman", "man"):
        kind = rng.choice(("woman", "man"))
    framing = rng.choices(FRAMINGS, (0.3, 0.3, 0.4))[0]
    view = rng.choices(VIEWS, (0.46, 0.3, 0.24))[0]
    if view == "from behind" and accent in accents.HIDDEN_FROM_BEHIND:
        view = "from side"
    pose = rng.choice(POSES)
    if framing != "full body" and pose not in RAISED:
        pose = "standing"
    figure: Person | Robot | None = None
    if kind == "robot":
        figure = Robot(rng.choice(list(COLORS)))
    elif kind != "nobody":
        bare_head = accent is not None and accents.ACCENTS[accent] == "head"
        figure = sample_person(rng, kind, bare_head)
    indoors = rng.random() < 0.55
    desk = rng.random() < 0.35 and (figure is None or framing == "upper body")
    return Scene(
        figure=figure,
        framing=framing,
        view=view,
        pose=pose,
        prop=_sample_prop(rng) if rng.random() < (0.5 if figure else 0.9) else None,
        wall=rng.choice(list(COLORS)) if indoors else None,
        wall_item=rng.choice(list(WALL_ITEMS)) if indoors and rng.random() < 0.7 else None,
        outdoors=None if indoors else rng.choice(list(scenery.OUTDOORS)),
        desk=desk,
        desk_item=rng.choice(list(DESK_ITEMS)) if desk and rng.random() < 0.5 else None,
        accent=accent,
        variation=Variation.sample(rng),
    )


def attributes(scene: Scene) -> dict[str, str]:
    """Return what the picture shows, keyed by `tags_two.ATTRIBUTES`, without what it lacks or hides."""
    seen: dict[str, str] = {"figure": "nobody"}
    if scene.figure:
        seen = _figure_attributes(scene, scene.figure)
    if scene.prop:
        seen |= {"prop": scene.prop.kind, "prop_color": scene.prop.color}
    if scene.desk:
        seen["desk"] = "wooden"
    for name in ("wall", "wall_item", "outdoors", "desk_item"):
        if getattr(scene, name):
            seen[name] = getattr(scene, name)
    if scene.accent and isinstance(scene.figure, Person) and shows_accent(scene):
        seen["accent"] = scene.accent
    return seen


def tags(scene: Scene) -> list[str]:
    """Return the tags of everything that the picture shows, in caption order."""
    return tags_of(attributes(scene))


def shows_accent(scene: Scene) -> bool:
    """Whether the scene's accent can be seen."""
    return scene.accent is not None and not (
        scene.view == "from behind" and scene.accent in accents.HIDDEN_FROM_BEHIND
    )


def shows_clothes(scene: Scene) -> bool:
    """Whether a person's clothes can be told apart: a cape hides the back."""
    return not (scene.view == "from behind" and scene.accent == "starry cape")


def shows_bottoms(scene: Scene) -> bool:
    """Whether what a whole person wears below can be told apart: a cape hides it, and the stool hides shorts."""
    assert isinstance(scene.figure, Person)
    is_hidden = scene.accent == "starry cape" or (
        scene.pose == "sitting" and scene.figure.bottoms == "shorts"
    )
    return not (scene.view == "from behind" and is_hidden)


def shows_skin(scene: Scene) -> bool:
    """Whether any skin can be seen: from behind, hair and sleeves may hide it all."""
    assert isinstance(scene.figure, Person)
    if scene.view != "from behind" or scene.framing == "full body" or shows_ears(scene.figure):
        return True
    if scene.prop or scene.pose in RAISED:
        return True
    return (
        scene.framing == "upper body"
        and scene.figure.clothes in clothes.SHORT_SLEEVED
        and scene.accent != "starry cape"
    )


def _sample_prop(rng: random.Random) -> Prop:
    return Prop(rng.choice(list(PROPS)), rng.choice(list(COLORS)))


def _figure_attributes(scene: Scene, figure: Person | Robot) -> dict[str, str]:
    is_whole, is_behind = scene.framing == "full body", scene.view == "from behind"
    seen = {
        "figure": figure.sex if isinstance(figure, Person) else "robot",
        "framing": scene.framing,
        "view": scene.view,
    }
    if is_whole or scene.pose in RAISED:
        seen["pose"] = scene.pose
    if isinstance(figure, Robot):
        return seen | {"robot_color": figure.color}
    names = ["hat", "hat_color", "hair"]
    if figure.hair != "bald":
        names.append("hair_color")
    if shows_skin(scene):
        names.append("skin")
    if shows_clothes(scene):
        names += ["clothes", "clothes_color"]
    if is_whole and shows_bottoms(scene):
        names += ["bottoms", "bottoms_color"]
    if is_whole:
        names.append("shoes_color")
    if not is_behind:
        names += ["mouth", "eyewear", "beard"]
        if not (scene.view == "from side" and figure.eyes == "wink"):  # the eye that winks is the far one
            names.append("eyes")
    return seen | {name: getattr(figure, name) for name in names if getattr(figure, name)}
