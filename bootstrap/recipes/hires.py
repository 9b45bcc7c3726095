"""The recipe `hires`."""

import dataclasses
from typing import Literal

from pydantic import Field

from bootstrap.recipes.needs import Inputs
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, Snapshots, Strengths
from bootstrap.shots import Shot, Start


class HiresRecipe(Recipe):
    """Draw the whole caption, enlarge the picture, and redraw it at that size: AUTOMATIC1111's Hires. fix."""

    kind: Literal["hires"] = "hires"
    hires_upscale: float = Field(2.0, gt=1.0, le=8.0)
    denoising_strength: float = Field(0.4, ge=0.01, le=1.0)
    hires_steps: int = Field(0, ge=0, le=150)  # 0: as many as in the first pass
    hires_cfg_scale: float | None = Field(None, ge=1.0, le=30.0)  # None: that of the first pass
    count: Count = 8
    strength: Strengths = [0.7, 0.8]
    snapshot: Snapshots = [4]

    def started_passes(self, steps: int) -> list[tuple[int, float]]:
        """Return the second pass."""
        return [(self.hires_steps or steps, self.denoising_strength)]

    def completed(self, shot: Shot, inputs: Inputs, negative_prompt: str) -> Shot:
        """Return the second pass over the shot: enlarged to multiples of the model's step, and redrawn."""
        width, height = enlarged((shot.width, shot.height), self.hires_upscale, inputs.side_step)
        return dataclasses.replace(
            shot,
            width=width,
            height=height,
            steps=self.hires_steps or shot.steps,
            cfg_scale=self.hires_cfg_scale or shot.cfg_scale,
            start=Start(self.denoising_strength, shot=shot),
        )


def enlarged(size: tuple[int, int], upscale: float, step: int = 8) -> tuple[int, int]:
    """Return width and height of hires' second pass, in pixels; multiples of `step`."""
    width, height = (round(side * upscale / step) * step for side in size)
    return width, height
