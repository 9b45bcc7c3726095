"""The people and robots of Paper Town: their attributes and their SVG drawings.

They are assembled from the DiceBear styles "Avataaars" and "Bottts" by Pablo Stanley (free for personal and
commercial use; see NOTICE). Each word of a caption always stands for the same drawing: a world of this size has
no samples to spend on variants that no tag distinguishes.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from dicebear import Avatar, Style

from bootstrap.papertown.palette import COLORS, HAIR_COLORS, SKINS

Sex = Literal["woman", "man"]

# The word in the caption -> DiceBear's name for the part.
HAIR = {
    "woman": {
        "long straight": "straight01",
        "long wavy": "bigHair",
        "bob cut": "bob",
        "tied up": "bun",
        "curly": "curly",
    },
    "man": {"short": "shortFlat", "curly": "shortCurly", "shaggy": "shaggy", "afro": "fro", "bald": "sides"},
}
HATS = {"winter hat": "winterHat03", "sun hat": "hat"}
CLOTHES = {
    "t-shirt": "shirtCrewNeck",
    "hoodie": "hoodie",
    "sweater": "collarAndSweater",
    "overalls": "overall",
    "blazer": "blazerAndShirt",
}
EYES = {"closed eyes": "closed", "happy eyes": "happy", "wink": "wink", "heart eyes": "hearts"}
MOUTHS = {
    "smile": "smile",
    "open mouth": "screamOpen",
    "sad": "sad",
    "serious": "serious",
    "tongue out": "tongue",
}
EYEWEAR = {"round glasses": "round", "sunglasses": "sunglasses", "eyepatch": "eyepatch"}
BEARDS = {"beard": "beardMedium", "moustache": "moustacheFancy"}
# The mouths that a beard does not hide.
BEARDED_MOUTHS = ("smile", "open mouth", "tongue out")

# A robot's colour determines its parts, so that "teal robot" always means the same picture.
_BUILDS = (
    {"head": "round01", "eyes": "roundFrame01", "mouth": "smile01", "sides": "antenna01", "top": "antenna"},
    {"head": "square01", "eyes": "frame1", "mouth": "grill01", "sides": "square", "top": "bulb01"},
    {"head": "round02", "eyes": "happy", "mouth": "smile02", "sides": "round", "top": "lights"},
)


@dataclass(frozen=True)
class Person:
    """A person's looks, in the words of the tables above.

    `hair` is None under a hat; brows and beard still have `hair_color`. `eyes` is None for the plain, untagged
    eyes. Sunglasses and eyepatches are combined with plain eyes only, and beards with `BEARDED_MOUTHS` only,
    because everything that a tag names must be visible.
    """

    sex: Sex
    skin: str
    hair_color: str
    clothes: str
    clothes_color: str
    mouth: str
    hair: str | None = None
    hat: str | None = None
    hat_color: str | None = None
    eyes: str | None = None
    eyewear: str | None = None
    beard: str | None = None

    def attributes(self) -> dict[str, str]:
        """Return the person's attributes, keyed by `tags.ATTRIBUTES`."""
        looks = {"figure" if name == "sex" else name: value for name, value in asdict(self).items() if value}
        if self.hat or self.hair == "bald":
            del looks["hair_color"]
        return looks

    def svg(self) -> str:
        """Draw head and shoulders on a canvas of 280 by 280, the middle of the face at x = 140."""
        options = {
            "topVariant": [self._top()],
            "topProbability": 100,
            "hairColor": [HAIR_COLORS[self.hair_color]],
            "hatColor": [COLORS[self.hat_color or "black"]],
            "skinColor": [SKINS[self.skin]],
            "clothesVariant": [CLOTHES[self.clothes]],
            "clothesColor": [COLORS[self.clothes_color]],
            "eyesVariant": [EYES[self.eyes] if self.eyes else "default"],
            "eyebrowsVariant": ["default"],
            "noseVariant": ["default"],
            "mouthVariant": [MOUTHS[self.mouth]],
            "accessoriesProbability": 100 if self.eyewear else 0,
            "accessoriesVariant": [EYEWEAR[self.eyewear] if self.eyewear else "round"],
            "accessoriesColor": ["#2b2b2f"],
            "facialHairProbability": 100 if self.beard else 0,
            "facialHairVariant": [BEARDS[self.beard] if self.beard else "beardMedium"],
            "facialHairColor": [HAIR_COLORS[self.hair_color]],
        }
        return _dicebear_svg("avataaars", options)

    def _top(self) -> str:
        if self.hat:
            return HATS[self.hat]
        if self.hair:
            return HAIR[self.sex][self.hair]
        raise ValueError(f"a person needs hair or a hat (bald is a kind of hair): {self}")

    @property
    def hand_color(self) -> str:
        return SKINS[self.skin]


@dataclass(frozen=True)
class Robot:
    """A robot's head; its colour is its only attribute."""

    color: str

    def attributes(self) -> dict[str, str]:
        """Return the robot's attributes, keyed by `tags.ATTRIBUTES`."""
        return {"figure": "robot", "robot_color": self.color}

    def svg(self) -> str:
        """Draw the head on a canvas of 180 by 180."""
        build = _BUILDS[list(COLORS).index(self.color) % len(_BUILDS)]
        options = {f"{part}Variant": [variant] for part, variant in build.items()}
        return _dicebear_svg("bottts", options | {"baseColor": [COLORS[self.color]], "textureProbability": 0})

    @property
    def hand_color(self) -> str:
        return "#aab2bd"


def sample_person(rng: random.Random, sex: Sex, bare_head: bool = False) -> Person:
    """Return a random person; `bare_head` leaves room for an accent that is worn on the head."""
    hat = rng.choice(list(HATS)) if rng.random() < 0.12 and not bare_head else None
    eyewear = rng.choice(list(EYEWEAR)) if rng.random() < 0.3 else None
    beard = rng.choice(list(BEARDS)) if sex == "man" and rng.random() < 0.35 else None
    eyes = rng.choice(list(EYES)) if rng.random() < 0.5 and eyewear in (None, "round glasses") else None
    return Person(
        sex=sex,
        skin=rng.choices(list(SKINS), (0.4, 0.3, 0.3))[0],
        hair=None if hat else rng.choice(list(HAIR[sex])),
        hair_color=rng.choice(list(HAIR_COLORS)),
        hat=hat,
        hat_color=rng.choice(list(COLORS)) if hat else None,
        clothes=rng.choice(list(CLOTHES)),
        clothes_color=rng.choice(list(COLORS)),
        mouth=rng.choice(BEARDED_MOUTHS if beard else list(MOUTHS)),
        eyes=eyes,
        eyewear=eyewear,
        beard=beard,
    )


def _dicebear_svg(style: str, options: dict) -> str:
    drawing = Avatar(_style(style), {"seed": "paper town", **options}).to_string()
    # Without the prefix, element ids would clash with those of another drawing in the same picture.
    for name in set(re.findall(r'id="([^"]+)"', drawing)):
        drawing = re.sub(rf'(id="|#){re.escape(name)}(["\)])', rf"\1figure-{name}\2", drawing)
    return drawing


@cache
def _style(name: str) -> Style:
    definition = files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8")
    return Style(json.loads(definition))
