"""The recipe `eliminate`."""

from typing import Literal

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import CaptionTag, Count, Snapshots, Strengths


class EliminateRecipe(Recipe):
    """Leave tags out of the prompt, one per shot in turn, so that the things they name disappear."""

    example = """\
[[recipe]]
kind = "eliminate"  # leave a tag out, and the thing it names disappears
# tags = ["red apple"]  # without this line: every tag but the first, in turn
count = 24
strength = 0.8
snapshot = 4
"""

    kind: Literal["eliminate"] = "eliminate"
    tags: list[CaptionTag] = []  # empty: every tag of the caption but the first
    count: Count = 16
    strength: Strengths = [0.8]
    snapshot: Snapshots = [4]
    as_negative: bool = False  # put the eliminated tag into the negative prompt as well

    @property
    def tags_of_caption(self) -> list[str]:
        """The tags that are left out."""
        return self.tags

    def check_caption(self, caption_tags: list[str]) -> None:
        """Make sure, besides, that there is a tag to leave out."""
        super().check_caption(caption_tags)
        if not self.tags and len(caption_tags) < 2:
            raise ValueError(
                "recipe 'eliminate' needs a caption of at least two tags: there is nothing to leave out"
            )

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the caption without each tag."""
        return [
            Idea(tuple(captions.without(tags, [tag])), eliminated=(tag,)) for tag in self.tags or tags[1:]
        ]

    def negatives_of(self, idea: Idea) -> list[str]:
        """Return the tag that is left out, if `as_negative` is set."""
        return [captions.as_prompt([tag]) for tag in idea.eliminated] if self.as_negative else []
