"""The recipe `bootstrap`."""

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import CaptionTag, Count, PromptText, Section, Snapshots, Strengths, Tag


class Aspect(Section):
    """One thing that varies between the pictures of a dataset, such as the pose."""

    name: Tag
    tags: Annotated[list[PromptText], Field(min_length=1)]  # one per shot, in turn
    instead_of: list[CaptionTag] = []  # tags of the caption that they replace
    quota: int = Field(1, ge=0, le=1000)  # shots of each round that change this aspect alone


class BootstrapRecipe(Recipe):
    """Draw the subject in many poses, framings and places, by quotas: a mix for a dataset."""

    by_quota = True

    kind: Literal["bootstrap"] = "bootstrap"
    aspects: Annotated[list[Aspect], Field(min_length=1)]
    mixed: int = Field(1, ge=0, le=1000)  # shots of each round that change all aspects at once
    unchanged: int = Field(0, ge=0, le=1000)  # shots of each round that draw the whole caption
    count: Count = 48
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [3, 4]

    @model_validator(mode="after")
    def _some(self) -> "BootstrapRecipe":
        if not sum(aspect.quota for aspect in self.aspects) + self.mixed + self.unchanged:
            raise ValueError("all its quotas are 0: nothing would be drawn")
        return self

    @property
    def tags_of_caption(self) -> list[str]:
        """The tags that are replaced."""
        return [tag for aspect in self.aspects for tag in aspect.instead_of]

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return an idea for each shot, so the quotas may repeat an idea."""
        return list(itertools.islice(self._rounds(tags), self.count))

    def _rounds(self, tags: list[str]) -> Iterator[Idea]:
        """Yield round after round: the quota of each aspect, then all aspects changed, then the whole caption."""
        turns = [itertools.cycle(aspect.tags) for aspect in self.aspects]
        for mixed in itertools.count(step=self.mixed or 1):
            for aspect, turn in zip(self.aspects, turns, strict=True):
                for _ in range(aspect.quota):
                    yield _changed(tags, [(aspect, next(turn))])
            for number in range(mixed, mixed + self.mixed):
                yield _changed(tags, _mixed(self.aspects, number))
            for _ in range(self.unchanged):
                yield Idea(tuple(tags))


def _mixed(aspects: list[Aspect], number: int) -> list[tuple[Aspect, str]]:
    """Return one tag of each aspect; after each full cycle the aspects are shifted, for new combinations."""
    cycle = math.lcm(*(len(aspect.tags) for aspect in aspects))
    return [
        (aspect, aspect.tags[(number + place * (number // cycle)) % len(aspect.tags)])
        for place, aspect in enumerate(aspects)
    ]


def _changed(tags: list[str], changes: list[tuple[Aspect, str]]) -> Idea:
    replaced = [tag for aspect, _ in changes for tag in aspect.instead_of]
    left = captions.without(tags, replaced)
    added = [tag for _, tag in changes]
    return Idea(
        tuple(captions.with_added(left, captions.parse_prompt(captions.join(added)))),
        eliminated=tuple(captions.without(tags, left)),
        added=tuple(added),
    )
