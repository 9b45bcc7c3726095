"""The recipe `replace`."""

from typing import Annotated, Literal

from pydantic import Field

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import CaptionTag, Count, PromptText, Snapshots, Strengths


class ReplaceRecipe(Recipe):
    """Replace one tag of the caption with others, one per shot in turn."""

    example = """\
[[recipe]]
kind = "replace"  # replace a tag of the caption with another
tag = "red apple"
by = ["blue ball", "yellow flower"]
count = 16
strength = [0.6, 0.7]
snapshot = 4
"""

    kind: Literal["replace"] = "replace"
    tag: CaptionTag
    by: Annotated[list[PromptText], Field(min_length=1)]
    count: Count = 16
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [4]

    @property
    def tags_of_caption(self) -> list[str]:
        """The tag that is replaced."""
        return [self.tag]

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the caption with each replacement in the tag's place."""
        return [
            Idea(tuple(captions.replaced(tags, self.tag, new)), eliminated=(self.tag,), added=(new,))
            for new in self.by
        ]
