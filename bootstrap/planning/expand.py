"""Recipes to shots: which prompts, strengths, snapshots and seeds; the same settings give the same shots."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.tallies import Tally
from bootstrap.planning import allotment
from bootstrap.planning.allotment import Slot
from bootstrap.project.settings import Settings
from bootstrap.prompting import parse
from bootstrap.prompting.choices import Choices
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.needs import NONE, Inputs
from bootstrap.recipes.recipe import Recipe
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
    size_step: int = 8  # sides that follow from proportions are multiples of this, in pixels
    inputs: Inputs = NONE
    wildcards: tuple[Path, ...] = ()  # folders of wildcard files, those that go first before others
    tallies: tuple[Tally, ...] = ()  # what became of earlier shots; none: the recipes are drawn as they say


def expand(settings: Settings, drawn_with: DrawnWith) -> list[Shot]:
    """Return the shots of all recipes, in order, no picture twice, the choices in their prompts made.

    A recipe's ideas (the tags to leave out, to add, to exchange), strengths and snapshots are taken in turn
    until `count` is reached; a shot's seed depends on the project's seed, the generation, the recipe, and its
    number in it, so that a longer recipe only adds shots. Where there are tallies of earlier shots, they decide how
    most of the shots are shared out; see `bootstrap.planning.allotment`.

    Raises:
        UserError: the box of an inpainting lies in a part of the original that is cropped away, or a wildcard file is
            missing.
    """
    shots: dict[str, Shot] = {}
    for recipe, slots in zip(settings.recipe, slots_of(settings, drawn_with), strict=True):
        for shot in shots_of(recipe, slots, settings, drawn_with):
            shots.setdefault(shot.id, shot)
    return list(shots.values())


def slots_of(settings: Settings, drawn_with: DrawnWith) -> list[list[Slot]]:
    """Return what the shots of each recipe draw, before it is written out."""
    recipes, size = settings.recipe, (drawn_with.width, drawn_with.height)
    ideas = [recipe.ideas(settings.project.tags, size, drawn_with.size_step) for recipe in recipes]
    slots: list[list[Slot | None]] = [[None] * recipe.count for recipe in recipes]
    if drawn_with.tallies:
        seed = _number(f"{settings.drawing.seed}/{drawn_with.generation}")
        slots = allotment.learned(recipes, ideas, drawn_with.tallies, seed)
    return [
        [
            slot
            or allotment.in_turn(
                recipe, own, index, _seed(settings.drawing.seed, drawn_with.generation, recipe, index)
            )
            for index, slot in enumerate(of_recipe)
        ]
        for recipe, own, of_recipe in zip(recipes, ideas, slots, strict=True)
    ]


def longer(settings: Settings, times: int) -> Settings:
    """Return the settings with so many times as many shots of each recipe; those that there were stay among them."""
    if times == 1:
        return settings
    recipes = [recipe.model_copy(update={"count": recipe.count * times}) for recipe in settings.recipe]
    return settings.model_copy(update={"recipe": recipes})


def with_advice(settings: Settings, advice: Advice) -> Settings:
    """Return the settings with a number for each `snapshot = "auto"`, as if it had been written there.

    Each kind of recipe says which one (`advised`): `vary` and `reference` get the snapshot to vary with, `replicate`
    that to replicate with. The others shall change something and keep the rest: they get the middle one of those from
    there to the one to replicate with (of two middle ones the earlier).
    """
    recipes = [
        recipe.model_copy(update={"snapshot": [getattr(advice, recipe.advised)]})
        if recipe.snapshot == "auto"
        else recipe
        for recipe in settings.recipe
    ]
    return settings.model_copy(update={"recipe": recipes})


def lora_file_name(name: str, epoch: int) -> str:
    """Return a snapshot's file name without ending: kohya's `name-000004`."""
    return f"{name}-{epoch:06d}"


def shots_of(
    recipe: Recipe, slots: Sequence[Slot], settings: Settings, drawn_with: DrawnWith
) -> Iterator[Shot]:
    """Yield the shots of one recipe, whether or not another recipe asks for the same ones."""
    size = drawn_with.width, drawn_with.height
    ideas = recipe.ideas(settings.project.tags, size, drawn_with.size_step)
    choices = Choices(drawn_with.wildcards)
    names = {captions.as_prompt([tag]) for tag in settings.project.tags}
    for index, slot in enumerate(slots):
        idea, strength, snapshot = ideas[slot.idea], slot.strength, slot.snapshot
        seed = _seed(settings.drawing.seed, drawn_with.generation, recipe, index)
        lora = LoraUse(
            lora_file_name(drawn_with.lora_name, snapshot), drawn_with.training_id, snapshot, strength
        )
        width, height = idea.size or size
        shot = Shot(
            prompt=_prompt(idea),
            negative_prompt=_negative_prompt(recipe, settings, idea),
            seed=seed,
            steps=settings.drawing.steps,
            sampler=settings.drawing.sampler,
            cfg_scale=settings.drawing.cfg_scale,
            width=width,
            height=height,
            base_model=drawn_with.base_model,
            base_model_hash=drawn_with.base_model_hash,
            loras=(lora,),
            clip_skip=settings.clip_skip,
            recipe=recipe.kind,
            eliminated=idea.eliminated,
            added=idea.added,
        )
        completed = recipe.completed(shot, drawn_with.inputs, settings.drawing.negative_prompt)
        yield completed.in_all_passes(lambda one: choices.of_shot(one, names))


def _prompt(idea: Idea) -> str:
    """The caption's tags mean what they say; what a recipe puts in is written as in a prompt, brackets and all."""
    put_in = {tag for added in idea.added for tag in captions.parse(added)}
    return captions.join(tag if tag in put_in else captions.as_prompt([tag]) for tag in idea.tags)


def _negative_prompt(recipe: Recipe, settings: Settings, idea: Idea) -> str:
    texts = (settings.drawing.negative_prompt, recipe.negative_prompt)
    parts = [tag for text in texts for tag in captions.parse(parse.without_comments(text))]
    return captions.join(captions.with_added(parts, recipe.negatives_of(idea)))


def _seed(project_seed: int, generation: int, recipe: Recipe, index: int) -> int:
    return _number(f"{project_seed}/{generation}/{recipe.model_dump_json(exclude={'count'})}/{index}")


def _number(text: str) -> int:
    """A number of 32 bits that looks like chance, always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
