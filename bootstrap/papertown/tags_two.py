"""The tags of a caption of Paper Town Two, from the attributes of its picture; independent of the drawing code."""

from __future__ import annotations

from collections.abc import Mapping

# Every attribute that a picture may have, in the order in which a tagger decides them. What a framing or a view hides,
# a picture lacks. One that ends in `_color` belongs to the attribute that it is named after; `hair_color` is also there
# without `hair`, under a hat.
ATTRIBUTES = (
    "figure",
    "framing",
    "view",
    "pose",
    "hat",
    "hat_color",
    "hair",
    "hair_color",
    "skin",
    "clothes",
    "clothes_color",
    "bottoms",
    "bottoms_color",
    "shoes_color",
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
    is_nobody = a["figure"] == "nobody"
    tags: list[tuple[str, tuple[str, ...]]] = [("no humans" if is_nobody else a["figure"], ("figure",))]
    tags += [(a[name], (name,)) for name in ("framing", "view", "pose") if name in a]
    if "robot_color" in a:
        tags.append((f"{a['robot_color']} robot", ("robot_color",)))
    if "hat" in a:
        tags.append((f"{a['hat_color']} {a['hat']}", ("hat", "hat_color")))
    if "hair" in a and "hair_color" in a:
        tags.append((f"{a['hair']} {a['hair_color']} hair", ("hair", "hair_color")))
    elif "hair" in a:
        tags.append((a["hair"], ("hair",)))
    elif "hair_color" in a:
        tags.append((f"{a['hair_color']} hair", ("hair_color",)))
    if "skin" in a:
        tags.append((f"{a['skin']} skin", ("skin",)))
    for name in ("clothes", "bottoms"):
        if name in a:
            tags.append((f"{a[f'{name}_color']} {a[name]}", (name, f"{name}_color")))
    if "shoes_color" in a:
        tags.append((f"{a['shoes_color']} shoes", ("shoes_color",)))
    tags += [(a[name], (name,)) for name in ("eyes", "mouth", "eyewear", "beard") if name in a]
    if "prop" in a:
        thing = f"{a['prop_color']} {a['prop']}"
        tags.append((thing if is_nobody else f"holding {thing}", ("prop", "prop_color")))
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
    if "accent" in a:
        tags.append((a["accent"], ("accent",)))
    return tags


def tags_of(attributes: Mapping[str, str]) -> list[str]:
    """Return the tags of a picture, in caption order."""
    return [tag for tag, _ in parts_of_tags(attributes)]


def is_allowed(name: str, value: str, seen: Mapping[str, str]) -> bool:
    """Whether a picture with the attributes `seen`, those before `name`, may have a value ("": none) of `name`."""
    if name == "figure":
        return bool(value)
    figure = seen["figure"]
    somebody, behind = figure in ("woman", "man"), seen.get("view") == "from behind"
    whole = seen.get("framing") == "full body"
    if name.endswith("_color") and name not in ("hair_color", "shoes_color", "robot_color"):
        return bool(value) == (name.removesuffix("_color") in seen)
    needed: dict[str, bool] = {
        "framing": figure != "nobody",
        "view": figure != "nobody",
        "hair": somebody and "hat" not in seen,
        "hair_color": somebody and seen.get("hair") != "bald",
        "shoes_color": somebody and whole,
        "robot_color": figure == "robot",
        "mouth": somebody and not behind,
    }
    if name in needed:
        return bool(value) == needed[name]
    if name == "pose":
        if figure == "nobody":
            return not value
        return bool(value) if whole else value in ("", "arms up", "waving")
    if name in ("skin", "clothes"):
        return bool(value) == somebody or (behind and not value)
    if name == "bottoms":
        is_shown = somebody and whole and seen.get("clothes") != "overalls"
        return bool(value) == is_shown or (behind and not value)
    possible = {
        "hat": somebody,
        "eyes": somebody and not behind,
        "eyewear": somebody and not behind,
        "beard": somebody and not behind,
        "accent": somebody,
    }
    return not value or possible.get(name, True)
