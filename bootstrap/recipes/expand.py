"""Recipes to shots: which prompts, strengths, snapshots and seeds; the same settings give the same shots."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions
from bootstrap.catalog.advices import Advice
from bootstrap.prompting.choices import Choices
from bootstrap.settings import (
    AddRecipe,
    EliminateRecipe,
    Recipe,
    ReplaceRecipe,
    Settings,
    VaryRecipe,
)
from bootstrap.shots import LoraUse, Shot


@dataclass(frozen=True)
class DrawnWith:
    """What all shots of a generation share besides the settings."""

    base_model: str
    base_model_hash: str
    training_id: str
    lora_name: str  # kohya's output_name; the snapshot's epoch is added to it
    generation: int
    width: int  # pixels
    height: int
    wildcards: tuple[Path, ...] = ()  # folders of wildcard files, those that go first before others


@dataclass(frozen=True)
class _Idea:
    """A prompt and what it is meant to change."""

    tags: tuple[str, ...]
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def expand(settings: Settings, drawn_with: DrawnWith) -> list[Shot]:
    """Return the shots of all recipes, in order, no picture twice, the choices in their prompts made.

    A recipe's ideas (the tags to leave out, to add, to exchange), strengths and snapshots are taken in turn
    until `count` is reached; a shot's seed depends on the project's seed, the generation, the recipe, and its
    number in it, so that a longer recipe only adds shots.

    Raises:
        UserError: a wildcard file is missing.
    """
    shots: dict[str, Shot] = {}
    choices = Choices(drawn_with.wildcards)
    names = {captions.as_prompt([tag]) for tag in settings.project.tags}
    for recipe in settings.recipe:
        for unmade in _shots(recipe, settings, drawn_with):
            shot = choices.of_shot(unmade, names)
            shots.setdefault(shot.id, shot)
    return list(shots.values())


def with_advice(settings: Settings, advice: Advice) -> Settings:
    """Return the settings with a number for each `snapshot = "auto"`, as if it had been written there.

    `vary` gets the snapshot to vary with. The others shall change one thing and keep the rest: they get the middle
    one of those from there to the one to replicate with (of two middle ones the earlier).
    """
    recipes = [
        recipe.model_copy(
            update={"snapshot": [advice.variation if isinstance(recipe, VaryRecipe) else advice.middle]}
        )
        if recipe.snapshot == "auto"
        else recipe
        for recipe in settings.recipe
    ]
    return settings.model_copy(update={"recipe": recipes})


def lora_file_name(name: str, epoch: int) -> str:
    """Return a snapshot's file name without ending: kohya's `name-000004`."""
    return f"{name}-{epoch:06d}"


def _shots(recipe: Recipe, settings: Settings, drawn_with: DrawnWith) -> Iterator[Shot]:
    if recipe.snapshot == "auto":
        raise ValueError(f"recipe '{recipe.kind}': the adviser has not chosen a snapshot yet")
    ideas = _ideas(recipe, settings.project.tags)
    pairs = [(strength, snapshot) for snapshot in recipe.snapshot for strength in recipe.strength]
    # Ideas and pairs both go round; the shift makes every idea meet every pair before one comes again.
    together = math.lcm(len(ideas), len(pairs))
    for index in range(recipe.count):
        idea = ideas[index % len(ideas)]
        strength, snapshot = pairs[(index + index // together) % len(pairs)]
        lora = LoraUse(
            lora_file_name(drawn_with.lora_name, snapshot), drawn_with.training_id, snapshot, strength
        )
        yield Shot(
            prompt=_prompt(idea),
            negative_prompt=_negative_prompt(recipe, settings, idea),
            seed=_seed(settings.drawing.seed, drawn_with.generation, recipe, index),
            steps=settings.drawing.steps,
            sampler=settings.drawing.sampler,
            cfg_scale=settings.drawing.cfg_scale,
            width=drawn_with.width,
            height=drawn_with.height,
            base_model=drawn_with.base_model,
            base_model_hash=drawn_with.base_model_hash,
            loras=(lora,),
            clip_skip=settings.clip_skip,
            recipe=recipe.kind,
            eliminated=idea.eliminated,
            added=idea.added,
        )


def _ideas(recipe: Recipe, tags: list[str]) -> list[_Idea]:
    if isinstance(recipe, VaryRecipe):
        return [_Idea(tuple(tags))]
    if isinstance(recipe, EliminateRecipe):
        dropped = recipe.tags or tags[1:]
        return [_Idea(tuple(captions.without(tags, [tag])), eliminated=(tag,)) for tag in dropped]
    if isinstance(recipe, AddRecipe):
        return [
            _Idea(tuple(captions.with_added(tags, captions.parse(tag))), added=(tag,)) for tag in recipe.tags
        ]
    if isinstance(recipe, ReplaceRecipe):
        return [
            _Idea(tuple(captions.replaced(tags, recipe.tag, new)), eliminated=(recipe.tag,), added=(new,))
            for new in recipe.by
        ]
    raise TypeError(f"no recipe: {recipe!r}")


def _prompt(idea: _Idea) -> str:
    """The caption's tags mean what they say; what a recipe puts in is written as in a prompt, brackets and all."""
    put_in = {tag for added in idea.added for tag in captions.parse(added)}
    return captions.join(tag if tag in put_in else captions.as_prompt([tag]) for tag in idea.tags)


def _negative_prompt(recipe: Recipe, settings: Settings, idea: _Idea) -> str:
    parts = [*captions.parse(settings.drawing.negative_prompt), *captions.parse(recipe.negative_prompt)]
    if isinstance(recipe, EliminateRecipe) and recipe.as_negative:
        parts = captions.with_added(parts, [captions.as_prompt([tag]) for tag in idea.eliminated])
    return captions.join(parts)


def _seed(project_seed: int, generation: int, recipe: Recipe, index: int) -> int:
    text = f"{project_seed}/{generation}/{recipe.model_dump_json(exclude={'count'})}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
