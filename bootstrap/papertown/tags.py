"""From what a picture shows to the tags of its caption; knows nothing of drawing."""

from __future__ import annotations

from collections.abc import Mapping

# Every attribute that a picture of Paper Town may have. An attribute that it lacks is left out, and one
# that ends in `_color` goes with the attribute that it is named after (`robot_color`: the figure is a robot).
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
    """Each tag of a picture, in the order of captions, with the attributes that it says something of."""
    a = attributes
    somebody = a["figure"] in ("woman", "man")
    figure = "no humans" if a["figure"] == "nobody" else a["figure"]
    found: list[tuple[str, tuple[str, ...]]] = [(figure, ("figure",))]
    if a["figure"] == "robot":
        found.append((f"{a['robot_color']} robot", ("robot_color",)))
    if somebody:
        if "hat" in a:
            found.append((f"{a['hat_color']} {a['hat']}", ("hat", "hat_color")))
        elif a["hair"] == "bald":
            found.append(("bald", ("hair",)))
        else:
            found.append((f"{a['hair']} {a['hair_color']} hair", ("hair", "hair_color")))
        found.append((f"{a['skin']} skin", ("skin",)))
        found.append((f"{a['clothes_color']} {a['clothes']}", ("clothes", "clothes_color")))
        found += [(a[name], (name,)) for name in ("eyes", "mouth", "eyewear", "beard") if name in a]
    if "prop" in a:
        thing = f"{a['prop_color']} {a['prop']}"
        held = thing if a["figure"] == "nobody" else f"holding {thing}"
        found.append((held, ("prop", "prop_color")))
    if "wall" in a:
        found.append((f"{a['wall']} wall", ("wall",)))
    if "wall_item" in a:
        found.append((a["wall_item"], ("wall_item",)))
    if "outdoors" in a:
        found += [("outdoors", ("outdoors",)), (a["outdoors"], ("outdoors",))]
    if "desk" in a:
        found.append((f"{a['desk']} desk", ("desk",)))
    if "desk_item" in a:
        found.append((f"{a['desk_item']} on desk", ("desk_item",)))
    if "accent" in a and somebody:
        found.append((a["accent"], ("accent",)))
    return found


def tags_of(attributes: Mapping[str, str]) -> list[str]:
    """The tags of a picture, in the order of captions."""
    return [tag for tag, _ in parts_of_tags(attributes)]
