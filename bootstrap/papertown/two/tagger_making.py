"""The stage `tagger` of Paper Town Two: the first world's network and training, with this world's attributes."""

from __future__ import annotations

from functools import partial

from bootstrap.papertown import tagger_making
from bootstrap.papertown.palette import COLORS, HAIR_COLORS, SKINS
from bootstrap.papertown.scenery import OUTDOORS
from bootstrap.papertown.tagger import NONE, Heads
from bootstrap.papertown.things import DESK_ITEMS, PROPS, WALL_ITEMS
from bootstrap.papertown.two import data, world
from bootstrap.papertown.two.accents import ACCENTS
from bootstrap.papertown.two.clothes import BOTTOMS, CLOTHES
from bootstrap.papertown.two.faces import BEARDS, EYES, EYEWEAR, MOUTHS
from bootstrap.papertown.two.hair import HAIR, HATS
from bootstrap.papertown.two.rig import POSES, VIEWS


def heads() -> Heads:
    """Return the tagger's heads in the order of `tags_two.ATTRIBUTES`: each attribute with its possible values."""
    colors = [NONE, *COLORS]
    return {
        "figure": ["woman", "man", "robot", "nobody"],
        "framing": [NONE, *world.FRAMINGS],
        "view": [NONE, *VIEWS],
        "pose": [NONE, *POSES],
        "hat": [NONE, *HATS],
        "hat_color": colors,
        "hair": [NONE, *dict.fromkeys([*HAIR["woman"], *HAIR["man"]])],
        "hair_color": [NONE, *HAIR_COLORS],
        "skin": [NONE, *SKINS],
        "clothes": [NONE, *CLOTHES],
        "clothes_color": colors,
        "bottoms": [NONE, *BOTTOMS],
        "bottoms_color": colors,
        "shoes_color": colors,
        "eyes": [NONE, *EYES],
        "mouth": [NONE, *MOUTHS],
        "eyewear": [NONE, *EYEWEAR],
        "beard": [NONE, *BEARDS],
        "robot_color": colors,
        "prop": [NONE, *PROPS],
        "prop_color": colors,
        "wall": colors,
        "wall_item": [NONE, *WALL_ITEMS],
        "outdoors": [NONE, *OUTDOORS],
        "desk": [NONE, "wooden"],
        "desk_item": [NONE, *DESK_ITEMS],
        "accent": [NONE, *ACCENTS],
    }


SECOND = tagger_making.TaggedWorld("two", heads, data.scene, world.attributes, data.held_out, False)
train_tagger = partial(tagger_making.train_tagger, town=SECOND)
