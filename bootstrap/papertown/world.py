"""Paper Town: a small drawn world in which every picture comes with its exact tags.

    scene = sample(random.Random(7))
    picture, caption = render(scene), ", ".join(tags(scene))

A picture shows a figure (a woman, a man, a robot) or nobody, sometimes with a prop, in front of a wall or
outdoors, sometimes behind a desk. Only one thing varies without a tag, so that small models can learn it: the
figure stands in one of three places, one latent cell (16 units) apart, as does the prop if there is no figure, two
cells apart. Accents are drawn only on request: no base model is trained on them, and a SID LoRA learns them.

Rendering pictures needs the extra `papertown`; using the models does not.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import Literal

import resvg_py
from PIL import Image

from bootstrap.papertown import scenery
from bootstrap.papertown.figures import Person, Robot, sample_person
from bootstrap.papertown.palette import COLORS, shade
from bootstrap.papertown.tags import tags_of
from bootstrap.papertown.things import ACCENTS, DESK_ITEMS, PROPS, WALL_ITEMS, prop

# Points of a figure where accents sit, as shares of its width and height.
ANCHORS = {"chest": (0.5, 0.82), "neck": (0.5, 0.735), "head": (0.5, 0.17), "back": (0.5, 0.54)}
FIGURE = 240  # units: the box of a person; a picture is 256
DESK_RAISES = 24
# Boxes of small details, as left, top, right and bottom, in units: the drawings' own boxes, rounded up. A face lies
# in its figure's box, a thing around the point where it is drawn, at a scale of 1.
FACE = (66, 73, 178, 156)
THING = (-22, -24, 22, 26)
FAR_X = 38  # x of wall items, the sun and desk items (these 6 further right)


@dataclass(frozen=True)
class Prop:
    """A thing in the figure's hand, or by itself if there is no figure."""

    kind: str
    color: str


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows. Values are keys of the tables in `figures`, `things` and `scenery`.

    Exactly one of `outdoors` and `wall` is set. `wall_item` requires a wall, `desk_item` a desk, and `accent` a
    person.
    """

    figure: Person | Robot | None
    prop: Prop | None = None
    wall: str | None = None
    wall_item: str | None = None
    outdoors: str | None = None
    desk: bool = False
    desk_item: str | None = None
    accent: str | None = None
    shift: Literal[-1, 0, 1] = 0  # which of the three places the figure stands in; no tag describes it


def sample(rng: random.Random, accent: str | None = None) -> Scene:
    """Return a random scene; with `accent` (one of `ACCENTS`), one with a person who wears it.

    The same state of `rng` and the same accent always give the same scene.
    """
    kind = rng.choices(("woman", "man", "robot", "nobody"), (0.42, 0.36, 0.13, 0.09))[0]
    if accent and kind not in ("woman", "man"):
        kind = rng.choice(("woman", "man"))
    figure: Person | Robot | None = None
    if kind == "robot":
        figure = Robot(rng.choice(list(COLORS)))
    elif kind != "nobody":
        bare_head = accent is not None and ACCENTS[accent][0] == "head"
        figure = sample_person(rng, "woman" if kind == "woman" else "man", bare_head)
    indoors = rng.random() < 0.55
    desk = rng.random() < 0.35
    return Scene(
        figure=figure,
        prop=_sample_prop(rng) if rng.random() < (0.55 if figure else 0.9) else None,
        wall=rng.choice(list(COLORS)) if indoors else None,
        wall_item=rng.choice(list(WALL_ITEMS)) if indoors and rng.random() < 0.7 else None,
        outdoors=None if indoors else rng.choice(list(scenery.OUTDOORS)),
        desk=desk,
        desk_item=rng.choice(list(DESK_ITEMS)) if desk and rng.random() < 0.5 else None,
        accent=accent,
        shift=rng.choice((-1, 0, 1)),
    )


def attributes(scene: Scene) -> dict[str, str]:
    """Return the picture's attributes, keyed by `tags.ATTRIBUTES`, without those that it lacks."""
    attributes_of_scene = scene.figure.attributes() if scene.figure else {"figure": "nobody"}
    if scene.prop:
        attributes_of_scene |= {"prop": scene.prop.kind, "prop_color": scene.prop.color}
    if scene.desk:
        attributes_of_scene["desk"] = "wooden"
    for name in ("wall", "wall_item", "outdoors", "desk_item", "accent"):
        if getattr(scene, name):
            attributes_of_scene[name] = getattr(scene, name)
    return attributes_of_scene


def tags(scene: Scene) -> list[str]:
    """Return the tags of everything that the picture shows, in caption order."""
    return tags_of(attributes(scene))


def render(scene: Scene, size: int = 128) -> Image.Image:
    """Render the picture, `size` by `size` pixels, RGB. The same scene always gives the same pixels."""
    png = resvg_py.svg_to_bytes(svg_string=svg(scene), width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def svg(scene: Scene) -> str:
    """Return the picture as an SVG document of 256 by 256 units."""
    layers = [_background(scene)]
    if scene.figure:
        layers += _figure(scene, scene.figure)
    if scene.desk:
        layers.append(scenery.desk())
    if scene.desk_item:
        layers.append(_at(FAR_X + 6, 222, 1, DESK_ITEMS[scene.desk_item]))
    if scene.prop:
        drawing = prop(scene.prop.kind, scene.prop.color)
        layers.append(
            _held(scene, drawing, scene.figure) if scene.figure else _at(*_prop_place(scene), drawing)
        )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256">'
        f"{''.join(layers)}</svg>"
    )


def details(scene: Scene) -> list[tuple[float, float, float, float]]:
    """Return the boxes of the small details that tags distinguish: the face of a person, and the prop.

    A box is left, top, right and bottom, in units of a picture of 256 by 256.
    """
    left, top = _figure_corner(scene)
    boxes = []
    if isinstance(scene.figure, Person):
        boxes.append(_box(left, top, 1, FACE))
    if scene.prop:
        x, y, scale = _prop_place(scene)
        boxes.append(_box(x, y, scale, THING))
    return boxes


def _sample_prop(rng: random.Random) -> Prop:
    return Prop(rng.choice(list(PROPS)), rng.choice(list(COLORS)))


def _background(scene: Scene) -> str:
    if scene.wall is None:
        return scenery.outdoors(scene.outdoors or "", FAR_X)
    wall = scenery.wall(scene.wall)
    if scene.wall_item:
        height, drawing = WALL_ITEMS[scene.wall_item]
        wall += _at(FAR_X, height, 1, drawing)
    return wall


def _figure(scene: Scene, figure: Person | Robot) -> list[str]:
    """Return the figure and its accent as layers from back to front."""
    left, top = _figure_corner(scene)
    if isinstance(figure, Robot):
        x, y, width = left + FIGURE * 0.12, top + FIGURE * 0.2, FIGURE * 0.76
    else:
        x, y, width = left, top, FIGURE
    box = f'<svg x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{width:.1f}" '
    body = figure.svg().replace("<svg ", box, 1)
    if not scene.accent:
        return [body]
    anchor, drawing = ACCENTS[scene.accent]
    share_x, share_y = ANCHORS[anchor]
    accent = _at(left + FIGURE * share_x, top + FIGURE * share_y, FIGURE / 280, drawing)
    return [accent, body] if anchor == "back" else [body, accent]


def _figure_corner(scene: Scene) -> tuple[float, float]:
    left = (256 - FIGURE) / 2 + 16 * scene.shift
    top = 256 - FIGURE - (DESK_RAISES if scene.desk else 0)
    return left, top


def _held(scene: Scene, drawing: str, holder: Person | Robot) -> str:
    skin = holder.hand_color
    hand = f'<ellipse cy="19" rx="12" ry="8" fill="{skin}" stroke="{shade(skin, 0.8)}" stroke-width="1.2"/>'
    return _at(*_prop_place(scene), drawing + hand)


def _prop_place(scene: Scene) -> tuple[float, float, float]:
    """Return x, y and scale of the prop, in the figure's hand or by itself."""
    if scene.figure is None:
        return 128 + 32 * scene.shift, scenery.DESK_TOP - 26 if scene.desk else 144, 2.1
    left, top = _figure_corner(scene)
    y = min(top + FIGURE * 0.81, scenery.DESK_TOP - 20 if scene.desk else 256)
    return left + FIGURE * 0.74, y, 1.5


def _box(
    x: float, y: float, scale: float, box: tuple[int, int, int, int]
) -> tuple[float, float, float, float]:
    left, top, right, bottom = (scale * edge for edge in box)
    return x + left, y + top, x + right, y + bottom


def _at(x: float, y: float, scale: float, drawing: str) -> str:
    return f'<g transform="translate({x:.1f} {y:.1f}) scale({scale:.3f})">{drawing}</g>'
