"""The recipe `restyle`."""

import dataclasses
from typing import Literal

from bootstrap.recipes.ideas import Idea, each_with
from bootstrap.recipes.needs import Inputs, Needs
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, PromptText, Snapshots, Strengths, Tag
from bootstrap.shots import Shot


class RestyleRecipe(Recipe):
    """Draw with another base model and this project's LoRA."""

    kind: Literal["restyle"] = "restyle"
    base_model: Tag  # as in [project]
    # Added to the caption, one per shot, in turn; such as the style's trigger words.
    prompts: list[PromptText] = []
    count: Count = 16
    strength: Strengths = [0.7, 0.8]
    snapshot: Snapshots = [4]

    def needs(self) -> Needs:
        """Return the other base model."""
        return Needs(base_models=(self.base_model,))

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the caption with each prompt."""
        return each_with(tags, self.prompts)

    def completed(self, shot: Shot, inputs: Inputs, negative_prompt: str) -> Shot:
        """Return the shot with the other base model."""
        name = self.base_model
        return dataclasses.replace(shot, base_model=name, base_model_hash=inputs.base_models[name])
