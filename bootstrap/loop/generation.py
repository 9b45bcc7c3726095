"""One generation, station by station: prepare, train, draw, curate, publish.

Each station is a plain function that does what is still missing and returns; a killed run is finished by
calling them again. The Prefect flow in `flows/bootstrap.py` wraps each one in a task.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.advices import Advice, Measurement
from bootstrap.catalog.states import GenerationState
from bootstrap.dataset import class_pictures, entries
from bootstrap.errors import UserError, reason_of
from bootstrap.files import remove_partial_files
from bootstrap.models import specs
from bootstrap.planning import inputs
from bootstrap.planning.expand import DrawnWith, expand, with_advice
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report, silent
from bootstrap.project import leases
from bootstrap.project.generation import Generation
from bootstrap.project.leases import LeaseLost
from bootstrap.project.projects import Project
from bootstrap.prompting import parse
from bootstrap.recipes.needs import Inputs

if TYPE_CHECKING:
    from bootstrap.drawing.shards import Shard

STOPPED = "stopped; the next run resumes here"


@dataclass(frozen=True)
class Summary:
    """What a finished generation brought."""

    project: str
    number: int
    drawn: int
    duplicates: int
    published: int  # waiting for, or done with, review
    sheet: Path  # contact sheet, PNG


def prepare(project: Project, catalog: Catalog) -> Generation:
    """Check every setting, file and model before any work, and return the generation to run.

    Raises:
        UserError: one line that names what is wrong; then the catalog is unchanged.
    """
    settings, base = project.settings_and_base
    specs.content_hash(base)
    if not os.access(project.folder, os.W_OK):
        raise UserError(f"project folder {project.folder}: it cannot be written")
    entries.check(project, catalog, settings)
    found = inputs.gather(project, catalog)
    class_pictures.check(project)
    latest = generations.latest(catalog, project.name) or 0
    # It goes on, or a new one begins.
    _check_prompts(project, found, [number for number in (latest, latest + 1) if number])
    if settings.training.optimizer != "AdamW":
        from bootstrap.training import optimizers

        optimizers.check(settings.training)
    for folder in (
        *project.folder.glob("generation-*/candidates"),
        *project.folder.glob("generation-*/training-*"),
    ):
        remove_partial_files(folder)
    return Generation(project, catalog, generations.begin(catalog, project.name))


def _check_prompts(project: Project, found: Inputs, numbers: list[int]) -> None:
    """Look up all that the prompts of generations of these numbers name."""
    settings, shelf = project.settings, Shelf.of(project)
    if settings.asks_adviser:  # which snapshot it is does not matter here
        settings = with_advice(settings, Advice([Measurement(1, 1.0, 1.0, None)], 1, 1))
    shots = []
    width, height = found.original_size if any(found.original_size) else (64, 64)  # nothing is drawn
    for number in numbers:
        shared = DrawnWith("", "", "", "", number, width, height, inputs=found, wildcards=shelf.wildcards)
        shots += expand(settings, shared)
    pairs = [(one.prompt, one.negative_prompt) for shot in shots for one in shot.passes]
    for prompt in (*settings.training.sample_prompts, settings.training.class_tokens or ""):
        negative = parse.without_comments(settings.drawing.negative_prompt)
        pairs.append((parse.without_comments(prompt), negative))
    if shelf.inside("embeddings") or any("<" in prompt for prompt, _ in pairs):
        from bootstrap.drawing import networks  # imports torch: seconds that other checks need not wait

        networks.check(project.base_model, shelf, list(dict.fromkeys(pairs)))


def train(generation: Generation, report: Report = silent) -> None:
    """Train the generation's LoRA on the dataset as it is now; resumes a killed training.

    Draws the sample prompts with each snapshot, where the settings have any. Measures the snapshots, where a recipe
    leaves the choice to the adviser.
    """
    from bootstrap.drawing import (
        class_pictures as drawn,  # imports torch: seconds that other verbs need not wait
    )
    from bootstrap.training import run

    tell = _enter(generation, GenerationState.TRAINING, report)
    run.train(generation, drawn.pictures(generation.project, tell), tell)
    if generation.settings.training.sample_prompts:
        from bootstrap.drawing import samples

        samples.draw(generation, tell)
    if generation.settings.asks_adviser:
        from bootstrap.adviser import run as adviser

        adviser.advise(generation, tell)


def draw(generation: Generation, report: Report = silent, more: bool = False) -> None:
    """Draw the candidates that the recipes ask for and that are not there yet; with `more`, then as many again."""
    from bootstrap.drawing import run

    run.draw(generation, _enter(generation, GenerationState.DRAWING, report), more)


def plan_drawing(
    generation: Generation, workers: int = 1, report: Report = silent, more: bool = False
) -> "list[Shard]":
    """Begin drawing in parts: return the shards that `draw_shard` is to be called with, here or elsewhere."""
    from bootstrap.drawing import run, shards

    _enter(generation, GenerationState.DRAWING, report)
    plan = run.plan(generation, more)
    report(Progress("draw", plan.done, plan.total, "pictures"))
    return shards.split(plan, generation.settings.drawing.batch_size, workers)


def draw_shard(generation: Generation, shard: "Shard", report: Report = silent) -> None:
    """Draw what a shard still lacks; reports how far the generation has come once the shards before are done."""
    from bootstrap.drawing import run

    def tell(progress: Progress) -> None:
        report(replace(progress, done=shard.before + progress.done, total=shard.total))

    run.draw_planned(generation, shard.planned, tell)


@contextmanager
def ending_recorded(
    generation: Generation, stopped_by: Mapping[type[BaseException], str] = MappingProxyType({})
) -> Iterator[None]:
    """Record in the catalog how a run ends that does not reach `publish`: as failed, or as cancelled by Ctrl-C.

    Args:
        stopped_by: exceptions that cancel the generation instead of failing it, each with its message.
    """
    try:
        yield
    except LeaseLost:
        raise  # the generation belongs to the other run now
    except BaseException as error:
        if type(error) in stopped_by:
            generation.set_state(GenerationState.CANCELLED, stopped_by[type(error)])
        elif isinstance(error, Exception):
            generation.set_state(GenerationState.FAILED, reason_of(error))
        else:  # Ctrl-C, or a signal as Prefect reports it
            generation.set_state(GenerationState.CANCELLED, STOPPED)
        raise


def _enter(generation: Generation, state: GenerationState, report: Report) -> Report:
    """Begin a station, unless the project was taken over; return the report for its work."""
    leases.check()
    generation.set_state(state)
    return reporter(generation, report)


def reporter(generation: Generation, report: Report) -> Report:
    """Return a report that tells the catalog as well, and stops a run whose project was taken over."""
    to_catalog = generations.reporter(generation.catalog, generation.project.name, generation.number)

    def tell(progress: Progress) -> None:
        leases.check()
        report(progress)
        to_catalog(progress)

    return tell


def curate(generation: Generation, report: Report = silent) -> None:
    """Hash the new candidates, mark those that show again what is there already, and score the others."""
    look_through(generation, _enter(generation, GenerationState.CURATING, report))


def look_through(generation: Generation, report: Report = silent) -> None:
    """Do the work of `curate` and leave the generation's state as it is."""
    from bootstrap.curation import run, scoring

    run.curate(generation, report)
    scoring.score(generation, report)


def publish(generation: Generation) -> Summary:
    """Show the curated candidates to the reviewer, likely picks first, and draw their contact sheet."""
    from bootstrap.curation import publishing

    sheet = publishing.publish(generation)
    leases.check()
    generation.set_state(GenerationState.PUBLISHED)
    status = generation.status()
    return Summary(
        generation.project.name,
        generation.number,
        status.candidates,
        status.duplicates,
        status.published,
        sheet,
    )
