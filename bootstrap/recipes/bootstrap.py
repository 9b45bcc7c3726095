"""The recipe `bootstrap`."""

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, PromptText, Section, Snapshots, Strengths, Tag


class Aspect(Section):
    """One thing that shall differ between the pictures of a dataset, such as the pose."""

    name: Tag
    tags: Annotated[list[PromptText], Field(min_length=1)]  # one a shot, all of them in turn
    instead_of: list[Tag] = []  # tags of the caption that make way
    quota: int = Field(1, ge=0, le=1000)  # shots of each round that change this alone


class BootstrapRecipe(Recipe):
    """Draw the subject in many poses, framings and places, by quotas: what a dataset needs."""

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
        """Those that make way."""
        return [tag for aspect in self.aspects for tag in aspect.instead_of]

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return an idea for each shot: an idea that the quotas ask for several times comes several times."""
        return list(itertools.islice(self._rounds(tags), self.count))

    def _rounds(self, tags: list[str]) -> Iterator[Idea]:
        """Round after round: of each aspect its quota, then those that change all aspects, then the whole caption."""
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
    """One tag of each aspect; when all have come round together, the aspects are shifted against each other."""
    together = math.lcm(*(len(aspect.tags) for aspect in aspects))
    return [
        (aspect, aspect.tags[(number + place * (number // together)) % len(aspect.tags)])
        for place, aspect in enumerate(aspects)
    ]


def _changed(tags: list[str], changes: list[tuple[Aspect, str]]) -> Idea:
    gone = [tag for aspect, _ in changes for tag in aspect.instead_of]
    left = captions.without(tags, gone)
    added = [tag for _, tag in changes]
    return Idea(
        tuple(captions.with_added(left, captions.parse(captions.join(added)))),
        eliminated=tuple(captions.without(tags, left)),
        added=tuple(added),
    )
