"""The recipe `compose`."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.needs import Inputs, Needs, OtherLora
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import CaptionTag, Count, PromptText, Snapshots, Strengths
from bootstrap.shots import Shot


class ComposeRecipe(Recipe):
    """Draw with several LoRAs at once: two subjects, a subject and a style, two characters that interact."""

    kind: Literal["compose"] = "compose"
    loras: Annotated[list[OtherLora], Field(min_length=1)]
    tags: list[CaptionTag] = []  # tags of this project's caption; empty: all
    prompts: list[PromptText] = []  # what they do or where they are, one per shot, in turn
    count: Count = 16
    strength: Strengths = [0.7]  # of this project's LoRA
    snapshot: Snapshots = [4]

    @property
    def tags_of_caption(self) -> list[str]:
        """The tags of this project that are drawn."""
        return self.tags

    def needs(self) -> Needs:
        """Return the other LoRAs."""
        return Needs(loras=tuple(self.loras))

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return this project's tags, then those of each other LoRA, with each prompt.

        Another project's tags are names, to be escaped; a file's tags may use prompt syntax.
        """
        others = [
            tag if other.is_file else captions.as_prompt([tag]) for other in self.loras for tag in other.tags
        ]
        own = self.tags or tags
        return [
            Idea(
                tuple(captions.with_added(own, captions.parse_prompt(captions.join(added)))),
                added=tuple(added),
            )
            for added in ([*others, prompt] if prompt else others for prompt in self.prompts or [""])
        ]

    def completed(self, shot: Shot, inputs: Inputs, negative_prompt: str) -> Shot:
        """Return the shot with the other LoRAs after the project's own."""
        others = (
            dataclasses.replace(inputs.loras[other.key], strength=other.strength) for other in self.loras
        )
        return dataclasses.replace(shot, loras=(*shot.loras, *others))
