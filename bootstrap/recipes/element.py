"""The recipe `element`."""

from typing import Annotated, Literal

from pydantic import Field

from bootstrap.recipes.ideas import Idea, each_with
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import CaptionTag, Count, PromptText, Snapshots, Strengths


class ElementRecipe(Recipe):
    """Take one or more tags of the original into other scenes."""

    kind: Literal["element"] = "element"
    tags: Annotated[list[CaptionTag], Field(min_length=1)]  # of the caption
    prompts: Annotated[list[PromptText], Field(min_length=1)]  # the scenes, one per shot, in turn
    count: Count = 16
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [4]

    @property
    def tags_of_caption(self) -> list[str]:
        """The tags that are taken into the scenes."""
        return self.tags

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the tags with each scene."""
        return each_with(self.tags, self.prompts)
