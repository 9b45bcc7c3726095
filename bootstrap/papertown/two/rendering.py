"""The pictures of Paper Town Two: where figure, prop, desk and place are in a scene, and their drawing."""

from __future__ import annotations

import io

import resvg_py
from PIL import Image

from bootstrap.papertown import scenery
from bootstrap.papertown.palette import COLORS, shade
from bootstrap.papertown.things import DESK_ITEMS, WALL_ITEMS, prop
from bootstrap.papertown.two import clothes, robots
from bootstrap.papertown.two.drawing import placed, stroke
from bootstrap.papertown.two.figures import Person, Robot, Stance, draw
from bootstrap.papertown.two.rig import HEAD, joints
from bootstrap.papertown.two.world import Scene

# The lowest y of the figure that a framing shows, in units of the figure, and the figure's usual scale.
CUTS = {"portrait": (-22.0, 1.66), "upper body": (-8.0, 1.36)}
FULL_SCALE, GROUND = 0.93, 240.0  # scale of a whole figure; y of the ground under it
SPREAD = {
    "portrait": 13.0,
    "upper body": 19.0,
    "full body": 36.0,
}  # how far a figure stands from its usual x, at most
MIDDLE = {"portrait": 126.0, "upper body": 130.0, "full body": 138.0}
PROP_SCALES = {"portrait": 0.85, "upper body": 0.95, "full body": 1.15}
DESK_RAISES = 22.0
FLOOR = 212  # y where a wall ends, behind a whole figure
FACE = (-42.0, -34.0, 42.0, 46.0)  # left, top, right and bottom of a face, in coordinates of the head
THING = (-22.0, -24.0, 22.0, 26.0)

Box = tuple[float, float, float, float]


def render(scene: Scene, size: int = 128) -> Image.Image:
    """Render the picture, `size` by `size` pixels, RGB. The same scene always gives the same pixels."""
    png = resvg_py.svg_to_bytes(svg_string=svg(scene), width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def svg(scene: Scene) -> str:
    """Return the picture as an SVG document of 256 by 256 units."""
    layers = [_place(scene)]
    if scene.figure:
        layers.append(_figure(scene, scene.figure))
    if scene.desk:
        layers.append(scenery.desk())
    if scene.desk_item:
        layers.append(placed(46 + 10 * scene.variation.item_x, 222, DESK_ITEMS[scene.desk_item]))
    if scene.prop and not scene.figure:
        layers.append(
            placed(*_lone_prop(scene)[:2], prop(scene.prop.kind, scene.prop.color), _lone_prop(scene)[2])
        )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256">'
        f"{''.join(layers)}</svg>"
    )


def details(scene: Scene) -> list[Box]:
    """Return the boxes of the small details that tags distinguish: a person's face, and the prop.

    A box is left, top, right and bottom, in units of a picture of 256 by 256.
    """
    boxes = []
    if isinstance(scene.figure, Person) and scene.view != "from behind":
        x, y, scale = _stand(scene)
        boxes.append(_box(x + scale * HEAD[0], y + scale * HEAD[1], scale, FACE))
    if scene.prop and scene.figure:
        x, y, scale = _stand(scene)
        hand_x, hand_y = _held_at(scene, scene.figure)
        boxes.append(_box(x + scale * hand_x, y + scale * hand_y, scale * PROP_SCALES[scene.framing], THING))
    elif scene.prop:
        boxes.append(_box(*_lone_prop(scene), THING))
    return boxes


def _figure(scene: Scene, figure: Person | Robot) -> str:
    held = ""
    if scene.prop:
        drawing = prop(scene.prop.kind, scene.prop.color)
        held = placed(*_held_at(scene, figure), drawing, PROP_SCALES[scene.framing])
    v, is_whole = scene.variation, scene.framing == "full body"
    stance = Stance(scene.view, is_whole, scene.pose, scene.prop is not None, v.sway, 7 * v.tilt)
    drawing, _ = draw(figure, stance, scene.accent, held)
    x, y, scale = _stand(scene)
    shadow = ""
    if scene.framing == "full body":
        middle = f'cx="{x:.1f}" cy="{GROUND + 4 * scene.variation.y - 1:.1f}"'
        shadow = f'<ellipse {middle} rx="{44 * scale:.1f}" ry="7" fill="#000000" fill-opacity="0.18"/>'
    return shadow + placed(x, y, drawing, scale)


def _stand(scene: Scene) -> tuple[float, float, float]:
    """Return where the figure's hips are in the picture, and its scale."""
    v, framing = scene.variation, scene.framing
    x = MIDDLE[framing] + SPREAD[framing] * v.x
    if framing == "full body":
        scale = FULL_SCALE * (1 + 0.07 * v.scale)
        ground = 53 if scene.pose == "sitting" else 70
        return x, GROUND + 4 * v.y - scale * ground, scale
    cut, usual = CUTS[framing]
    scale = usual * (1 + 0.09 * v.scale)
    return x, 256 - (DESK_RAISES if scene.desk else 0) - scale * (cut + 3 * v.y), scale


def _held_at(scene: Scene, figure: Person | Robot) -> tuple[float, float]:
    """Return where the prop's middle is, in units of the figure."""
    shoulders = robots.SHOULDERS if isinstance(figure, Robot) else clothes.SHOULDERS[figure.sex]
    pose = joints(scene.view, scene.pose, shoulders, True, scene.variation.sway)
    x, y = pose.right_arm.end
    return x + 2, y - 16 * PROP_SCALES[scene.framing]


def _lone_prop(scene: Scene) -> tuple[float, float, float]:
    """Return x, y and scale of a prop without a figure."""
    v = scene.variation
    y = scenery.DESK_TOP - 28 if scene.desk else 150 + 14 * v.tilt
    return 132 + 44 * v.x, y, 2.1 * (1 + 0.12 * v.scale)


def _place(scene: Scene) -> str:
    """Draw the wall or the place outdoors, moved and enlarged as the scene's variation says."""
    v = scene.variation
    if scene.wall is None:
        zoom = 1.16 + 0.12 * v.zoom
        x = 128 * (1 - zoom) * (1 + v.pan)
        y = (256 if scene.framing == "full body" else 236) * (1 - zoom)
        drawing = scenery.outdoors(scene.outdoors or "", round(44 + 14 * v.item_x))
        return f'<g transform="translate({x:.1f} {y:.1f}) scale({zoom:.3f})">{drawing}</g>'
    wall = scenery.wall(scene.wall)
    is_whole = scene.figure is not None and scene.framing == "full body"
    if is_whole:
        board = shade(COLORS[scene.wall], 1.6) if scene.wall != "white" else "#d9d6cc"
        wall += f'<rect y="{FLOOR - 10}" width="256" height="10" fill="{board}"/>'
        wall += f'<rect y="{FLOOR}" width="256" height="{256 - FLOOR}" fill="#c9a06c"/>'
        wall += stroke(f"M0 {FLOOR}H256", "#a57c4a", 2) + stroke("M0 234H256", "#b58c59", 2)
    if scene.wall_item:
        height, drawing = WALL_ITEMS[scene.wall_item]
        y = height + 8 * v.item_y
        if scene.wall_item == "potted plant" and is_whole:
            y = 196 + 6 * v.item_y
        wall += placed(44 + 8 * v.item_x, y, drawing)
    return wall


def _box(x: float, y: float, scale: float, box: Box) -> Box:
    left, top, right, bottom = (scale * edge for edge in box)
    return x + left, y + top, x + right, y + bottom
