"""What each kind of recipe asks for, without seeds, strengths and snapshots: prompts, and sizes where they differ."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap import captions
from bootstrap.recipes.recipe_settings import (
    AddRecipe,
    Aspect,
    BootstrapRecipe,
    ComposeRecipe,
    ElementRecipe,
    EliminateRecipe,
    InpaintRecipe,
    Recipe,
    ReferenceRecipe,
    ReplaceRecipe,
    ResizeRecipe,
    RestyleRecipe,
)


@dataclass(frozen=True)
class Idea:
    """A prompt and what it is meant to change."""

    tags: tuple[str, ...]
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()  # written as in a prompt, brackets and all
    size: tuple[int, int] | None = None  # width and height in pixels, where they are not those of all shots


def ideas(recipe: Recipe, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
    """Return a recipe's ideas, in the order in which they are taken in turn.

    Args:
        tags: the caption's.
        size: width and height in pixels of all shots that ask for no other.
        size_step: sides that follow from proportions are multiples of this.
    """
    if isinstance(recipe, EliminateRecipe):
        return [
            Idea(tuple(captions.without(tags, [tag])), eliminated=(tag,)) for tag in recipe.tags or tags[1:]
        ]
    if isinstance(recipe, AddRecipe):
        return [_behind_subject(tags, tag) for tag in recipe.tags]
    if isinstance(recipe, ReplaceRecipe):
        return [
            Idea(tuple(captions.replaced(tags, recipe.tag, new)), eliminated=(recipe.tag,), added=(new,))
            for new in recipe.by
        ]
    if isinstance(recipe, ReferenceRecipe):
        return _each_with(recipe.tags or tags[:1], recipe.prompts)
    if isinstance(recipe, ElementRecipe):
        return _each_with(recipe.tags, recipe.prompts)
    if isinstance(recipe, RestyleRecipe):
        return _each_with(tags, recipe.prompts)
    if isinstance(recipe, ComposeRecipe):
        return _composed(recipe, tags)
    if isinstance(recipe, ResizeRecipe):
        sizes = [_proportioned(ratio, size, size_step) for ratio in recipe.aspect_ratios]
        return [Idea(tuple(tags), size=one) for one in [*sizes, *recipe.sizes]]
    if isinstance(recipe, InpaintRecipe):
        shown = captions.parse(recipe.rounds[-1].prompt)
        return [
            Idea(tuple(shown), tuple(captions.without(tags, shown)), tuple(captions.without(shown, tags)))
        ]
    if isinstance(recipe, BootstrapRecipe):
        return list(itertools.islice(_bootstrapped(recipe, tags), recipe.count))
    return [Idea(tuple(tags))]


def _with(tags: list[str], prompt: str) -> Idea:
    return Idea(tuple(captions.with_added(tags, captions.parse(prompt))), added=(prompt,))


def _behind_subject(tags: list[str], prompt: str) -> Idea:
    # What stands early in a prompt counts for more; at the end of a long caption a tag often has no effect.
    early = captions.with_added(tags[:1], captions.parse(prompt))
    return Idea(tuple(captions.with_added(early, tags[1:])), added=(prompt,))


def _each_with(tags: list[str], prompts: list[str]) -> list[Idea]:
    return [_with(tags, prompt) for prompt in prompts] or [Idea(tuple(tags))]


def _composed(recipe: ComposeRecipe, tags: list[str]) -> list[Idea]:
    """This project's tags, then those of each other LoRA; another project's are names, a file's are prompts."""
    others = [
        tag if other.is_file else captions.as_prompt([tag]) for other in recipe.loras for tag in other.tags
    ]
    mine = recipe.tags or tags
    return [
        Idea(tuple(captions.with_added(mine, captions.parse(captions.join(added)))), added=tuple(added))
        for added in ([*others, prompt] if prompt else others for prompt in recipe.prompts or [""])
    ]


def _proportioned(aspect_ratio: str, size: tuple[int, int], step: int) -> tuple[int, int]:
    """The size of these proportions that has about as many pixels, sides multiples of `step`."""
    across, down = (int(part) for part in aspect_ratio.split(":"))
    width = math.sqrt(size[0] * size[1] * across / down)
    return max(step, round(width / step) * step), max(step, round(width * down / across / step) * step)


def _bootstrapped(recipe: BootstrapRecipe, tags: list[str]) -> Iterator[Idea]:
    """Round after round: of each aspect as many as its quota, then those that change all, then the whole caption."""
    turns = [itertools.cycle(aspect.tags) for aspect in recipe.aspects]
    for mixed in itertools.count(step=recipe.mixed or 1):
        for aspect, turn in zip(recipe.aspects, turns, strict=True):
            for _ in range(aspect.quota):
                yield _changed(tags, [(aspect, next(turn))])
        for number in range(mixed, mixed + recipe.mixed):
            yield _changed(tags, _mixed(recipe.aspects, number))
        for _ in range(recipe.unchanged):
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
