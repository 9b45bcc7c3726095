"""The recipe `add`."""

from typing import Annotated, Literal

from pydantic import Field

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, PromptText, Snapshots, Strengths


class AddRecipe(Recipe):
    """Add tags that the caption lacks, one per shot in turn."""

    example = """\
[[recipe]]
kind = "add"  # add what the original lacks
tags = ["sunglasses", "smile"]
count = 16
strength = 0.6
snapshot = [3, 4]
"""

    kind: Literal["add"] = "add"
    tags: Annotated[list[PromptText], Field(min_length=1)]
    count: Count = 16
    strength: Strengths = [0.6]
    snapshot: Snapshots = [3, 4]

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the caption with each tag right behind the subject.

        Early tags of a prompt have more effect; at the end of a long caption a tag often has none.
        """
        return [_behind_subject(tags, tag) for tag in self.tags]


def _behind_subject(tags: list[str], prompt: str) -> Idea:
    early = captions.with_added(tags[:1], captions.parse_prompt(prompt))
    return Idea(tuple(captions.with_added(early, tags[1:])), added=(prompt,))
