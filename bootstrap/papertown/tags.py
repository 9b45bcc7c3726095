"""The tags of a caption, from the attributes of its picture; this module does not depend on the drawing code."""

from __future__ import annotations

from collections.abc import Mapping

# Every attribute that a picture of Paper Town may have. A picture's attributes do not include those that it lacks.
# One that ends in `_color` belongs to the attribute that it is named after (`robot_color`: the figure is a robot).
ATTRIBUTES = (
    "figure",
    "hat",
    "hat_color",
    "hair",
    "hair_color",
    "skin",
    "clothes",
    "clothes_color",
    "eyes",
    "mouth",
    "eyewear",
    "beard",
    "robot_color",
    "prop",
    "prop_color",
    "wall",
    "wall_item",
    "outdoors",
    "desk",
    "desk_item",
    "accent",
)


def parts_of_tags(attributes: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return each tag of a picture, in caption order, with the names of the attributes that it describes."""
    a = attributes
    is_person = a["figure"] in ("woman", "man")
    figure = "no humans" if a["figure"] == "nobody" else a["figure"]
    tags: list[tuple[str, tuple[str, ...]]] = [(figure, ("figure",))]
    if a["figure"] == "robot":
        tags.append((f"{a['robot_color']} robot", ("robot_color",)))
    if is_person:
        if "hat" in a:
            tags.append((f"{a['hat_color']} {a['hat']}", ("hat", "hat_color")))
        elif a["hair"] == "bald":
            tags.append(("bald", ("hair",)))
        else:
            tags.append((f"{a['hair']} {a['hair_color']} hair", ("hair", "hair_color")))
        tags.append((f"{a['skin']} skin", ("skin",)))
        tags.append((f"{a['clothes_color']} {a['clothes']}", ("clothes", "clothes_color")))
        tags += [(a[name], (name,)) for name in ("eyes", "mouth", "eyewear", "beard") if name in a]
    if "prop" in a:
        thing = f"{a['prop_color']} {a['prop']}"
        held = thing if a["figure"] == "nobody" else f"holding {thing}"
        tags.append((held, ("prop", "prop_color")))
    if "wall" in a:
        tags.append((f"{a['wall']} wall", ("wall",)))
    if "wall_item" in a:
        tags.append((a["wall_item"], ("wall_item",)))
    if "outdoors" in a:
        tags += [("outdoors", ("outdoors",)), (a["outdoors"], ("outdoors",))]
    if "desk" in a:
        tags.append((f"{a['desk']} desk", ("desk",)))
    if "desk_item" in a:
        tags.append((f"{a['desk_item']} on desk", ("desk_item",)))
    if "accent" in a and is_person:
        tags.append((a["accent"], ("accent",)))
    return tags


def tags_of(attributes: Mapping[str, str]) -> list[str]:
    """Return the tags of a picture, in caption order."""
    return [tag for tag, _ in parts_of_tags(attributes)]


def is_allowed(name: str, value: str, seen: Mapping[str, str]) -> bool:
    """Whether a picture with the attributes `seen`, those before `name`, may have a value ("": none) of `name`."""
    if not _is_possible(name, seen):
        return not value
    return bool(value) or not (
        name.endswith("_color") or name in ("figure", "hair", "skin", "clothes", "mouth")
    )


def _is_possible(name: str, seen: Mapping[str, str]) -> bool:
    """Whether a picture with the attributes `seen` can have the attribute `name` at all."""
    somebody = seen.get("figure") in ("woman", "man")
    if name == "robot_color":
        return seen["figure"] == "robot"
    if name in ("hat", "skin", "clothes", "clothes_color", "eyes", "mouth", "eyewear", "beard", "accent"):
        return somebody
    if name == "hair":
        return somebody and "hat" not in seen
    if name == "hair_color":
        return "hair" in seen and seen["hair"] != "bald"
    if name.endswith("_color"):
        return name.removesuffix("_color") in seen
    return True
