"""Expand recipes into shots: prompts, strengths, snapshots and seeds. The same settings give the same shots."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.tallies import Tally
from bootstrap.errors import UserError
from bootstrap.models.family import AUTOMATIC, OLDER_NAMES, SAMPLERS
from bootstrap.planning import allotment
from bootstrap.planning.allotment import Slot
from bootstrap.project.settings import MOST_SHOTS, DrawingSection, Settings
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
    lora_name: str  # kohya's output_name; the snapshot's epoch is appended
    generation: int
    width: int  # pixels
    height: int
    size_step: int = 8  # sides computed from an aspect ratio are multiples of this, in pixels
    inputs: Inputs = NONE
    wildcards: tuple[Path, ...] = ()  # folders of wildcard files, in order of precedence
    tallies: tuple[Tally, ...] = ()  # verdicts on earlier shots; empty: each recipe gets its count, in turn
    older_rule: bool = False  # the generation began before the schedule was a setting, and goes on without


def expand(settings: Settings, drawn_with: DrawnWith) -> list[Shot]:
    """Return the shots of all recipes, in order and without repeats, with the choices in their prompts made.

    A recipe's ideas (tags to leave out, add or replace), strengths and snapshots are taken in turn until `count` is
    reached. A shot's seed depends on the project's seed, the generation, the recipe, and its index in the recipe, so
    that a larger `count` only adds shots. Tallies of earlier shots, if any, decide how most of the shots are shared
    out; see `bootstrap.planning.allotment`.

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
    """Return the idea, strength and snapshot of each shot, recipe by recipe."""
    recipes, size = settings.recipe, (drawn_with.width, drawn_with.height)
    ideas = [recipe.ideas(settings.project.tags, size, drawn_with.size_step) for recipe in recipes]
    slots: list[list[Slot | None]] = [[None] * recipe.count for recipe in recipes]
    if drawn_with.tallies:
        seed = _number(f"{settings.drawing.seed}/{drawn_with.generation}")
        slots = allotment.share_out(recipes, ideas, drawn_with.tallies, seed)
    return [
        [
            slot
            or allotment.in_turn(
                recipe,
                recipe_ideas,
                index,
                seed_of(index),
            )
            for index, slot in enumerate(recipe_slots)
        ]
        for recipe, recipe_ideas, recipe_slots in zip(recipes, ideas, slots, strict=True)
        for seed_of in [_seeds(settings.drawing.seed, drawn_with.generation, recipe)]
    ]


def longer(settings: Settings, times: int) -> Settings:
    """Return the settings with the `count` of each recipe multiplied; the former shots are among the new ones.

    Raises:
        UserError: these are more shots than a generation may have.
    """
    if times == 1:
        return settings
    total = times * sum(recipe.count for recipe in settings.recipe)
    if total > MOST_SHOTS:
        raise UserError(
            f"the generation would have {total:,} shots, {MOST_SHOTS:,} at most; start the next one instead of drawing "
            "more of this one"
        )
    recipes = [recipe.model_copy(update={"count": recipe.count * times}) for recipe in settings.recipe]
    return settings.model_copy(update={"recipe": recipes})


def with_advice(settings: Settings, advice: Advice) -> Settings:
    """Return the settings with a number for each `snapshot = "auto"`, as if it were written in project.toml.

    Each kind of recipe says which snapshot (`advised`): `vary` and `reference` get the one for variation, `replicate`
    the one for replication. The other kinds change something and keep the rest: they get the middle one of the
    snapshots from variation to replication (the earlier of two middle ones).
    """
    recipes = [
        recipe.model_copy(update={"snapshot": [getattr(advice, recipe.advised)]})
        if recipe.snapshot == "auto"
        else recipe
        for recipe in settings.recipe
    ]
    return settings.model_copy(update={"recipe": recipes})


def lora_file_name(name: str, epoch: int) -> str:
    """Return a snapshot's file name without suffix, as kohya names it: `name-000004`."""
    return f"{name}-{epoch:06d}"


def shots_of(
    recipe: Recipe, slots: Sequence[Slot], settings: Settings, drawn_with: DrawnWith
) -> Iterator[Shot]:
    """Yield the shots of one recipe, even if another recipe asks for the same ones."""
    size = drawn_with.width, drawn_with.height
    ideas = recipe.ideas(settings.project.tags, size, drawn_with.size_step)
    choices = Choices(drawn_with.wildcards)
    seed_of = _seeds(settings.drawing.seed, drawn_with.generation, recipe)
    sampler, schedule = _sampler(settings.drawing, drawn_with.older_rule)
    for index, slot in enumerate(slots):
        idea, strength, snapshot = ideas[slot.idea], slot.strength, slot.snapshot
        seed = seed_of(index)
        lora = LoraUse(
            lora_file_name(drawn_with.lora_name, snapshot), drawn_with.training_id, snapshot, strength
        )
        width, height = idea.size or size
        shot = Shot(
            prompt=_prompt(idea),
            negative_prompt=_negative_prompt(recipe, settings, idea),
            seed=seed,
            steps=settings.drawing.steps,
            sampler=sampler,
            schedule=schedule,
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
        yield completed.in_all_passes(choices.of_shot)


def _sampler(drawing: DrawingSection, older_rule: bool) -> tuple[str, str]:
    """Return the sampler and schedule of new shots; the schedule is "" by the older rule, if that has it."""
    if not older_rule:
        return drawing.sampler, drawing.schedule
    if "sampler" not in drawing.model_fields_set and drawing.schedule == AUTOMATIC:
        return "DPM++ 2M Karras", ""  # its default
    name = drawing.sampler if drawing.schedule == AUTOMATIC else f"{drawing.sampler} {drawing.schedule}"
    return (name, "") if name in (*SAMPLERS, *OLDER_NAMES) else (drawing.sampler, drawing.schedule)


def _prompt(idea: Idea) -> str:
    """Return the prompt: the caption's tags are escaped, a recipe's own texts keep their prompt syntax."""
    as_written = {tag for added in idea.added for tag in captions.parse_prompt(added)}
    return captions.join(tag if tag in as_written else captions.as_prompt([tag]) for tag in idea.tags)


def _negative_prompt(recipe: Recipe, settings: Settings, idea: Idea) -> str:
    texts = (settings.drawing.negative_prompt, recipe.negative_prompt)
    parts = [tag for text in texts for tag in captions.parse_prompt(parse.without_comments(text))]
    return captions.join(captions.with_added(parts, recipe.negatives_of(idea)))


def _seeds(project_seed: int, generation: int, recipe: Recipe) -> Callable[[int], int]:
    """Return a function that gives the seed of each shot of a recipe, by its index.

    The recipe is hashed once for all of them, as it may be long.
    """
    start = f"{project_seed}/{generation}/{recipe.model_dump_json(exclude={'count'})}/"
    hashed = hashlib.sha256(start.encode())

    def seed_of(index: int) -> int:
        whole = hashed.copy()
        whole.update(str(index).encode())
        return _first_32_bits(whole.digest())

    return seed_of


def _number(text: str) -> int:
    """Return a pseudo-random 32-bit number, always the same for a text."""
    return _first_32_bits(hashlib.sha256(text.encode()).digest())


def _first_32_bits(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "big")
