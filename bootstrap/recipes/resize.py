"""The recipe `resize`."""

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, Snapshots, Strengths


def _multiple_of_8(side: int) -> int:
    if side % 8:
        raise ValueError(f"{side} is no multiple of 8")
    return side


def _aspect_ratio(text: str) -> str:
    sides = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", text.replace(" ", ""))
    if sides is None or not 0.1 <= int(sides[1]) / int(sides[2]) <= 10:
        raise ValueError(
            f"'{text}' is no aspect ratio: write width:height, such as \"2:3\", from 1:10 to 10:1"
        )
    return text


Side = Annotated[int, Field(ge=64, le=4096), AfterValidator(_multiple_of_8)]


class ResizeRecipe(Recipe):
    """Draw the whole caption at other sizes or proportions."""

    kind: Literal["resize"] = "resize"
    aspect_ratios: list[Annotated[str, AfterValidator(_aspect_ratio)]] = []  # "2:3"; as many pixels as usual
    sizes: list[tuple[Side, Side]] = []  # [width, height] in pixels
    count: Count = 16
    strength: Strengths = [0.7, 0.8]
    snapshot: Snapshots = [4]

    @model_validator(mode="after")
    def _some(self) -> "ResizeRecipe":
        if not self.aspect_ratios and not self.sizes:
            raise ValueError('it needs aspect_ratios = ["2:3"] or sizes = [[512, 768]]')
        return self

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the caption at each size."""
        proportioned = [_proportioned(ratio, size, size_step) for ratio in self.aspect_ratios]
        return [Idea(tuple(tags), size=new_size) for new_size in [*proportioned, *self.sizes]]


def _proportioned(aspect_ratio: str, size: tuple[int, int], step: int) -> tuple[int, int]:
    """Return the size of an aspect ratio with about as many pixels, its sides multiples of `step`."""
    across, down = (int(part) for part in aspect_ratio.split(":"))
    width = math.sqrt(size[0] * size[1] * across / down)
    return max(step, round(width / step) * step), max(step, round(width * down / across / step) * step)
