"""The recipe `reference`."""

from typing import Literal

from bootstrap.recipes.ideas import Idea, each_with
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import CaptionTag, Count, PromptText, Snapshots, Strengths


class ReferenceRecipe(Recipe):
    """Let the base model lead, and the LoRA lend a few tags."""

    advised = "variation"

    kind: Literal["reference"] = "reference"
    tags: list[CaptionTag] = []  # tags of the caption; empty: the first, the subject
    prompts: list[PromptText] = []  # what the base model draws with them, one per shot, in turn
    count: Count = 16
    strength: Strengths = [0.4, 0.5]
    snapshot: Snapshots = [2, 3]

    @property
    def tags_of_caption(self) -> list[str]:
        """The tags that the LoRA lends."""
        return self.tags

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the lent tags with each prompt."""
        return each_with(self.tags or tags[:1], self.prompts)
