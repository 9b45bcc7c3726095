"""One generation, station by station: prepare, train, draw, curate, publish.

Each station is a plain function that does the missing work and returns; call the stations again to resume a killed
run. The Prefect flow in `flows/bootstrap.py` wraps each one in a task.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from bootstrap import images
from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.advices import Advice, Measurement
from bootstrap.catalog.states import GenerationState
from bootstrap.dataset import class_pictures, entries, pick_files
from bootstrap.errors import UserError, in_one_line, machine_problem, reason_of
from bootstrap.files import remove_partial_files
from bootstrap.models import specs
from bootstrap.planning import inputs
from bootstrap.planning.expand import DrawnWith, expand, with_advice
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report, silent
from bootstrap.project import conflicts, leases
from bootstrap.project.generation import Generation
from bootstrap.project.leases import LeaseLost
from bootstrap.project.projects import Project
from bootstrap.prompting import parse
from bootstrap.recipes.needs import Inputs
from bootstrap.shots import Shot
from bootstrap.training import examples

if TYPE_CHECKING:
    from bootstrap.drawing.shards import Shard

_log = logging.getLogger(__name__)

STOPPED = "cancelled; the next run resumes here"


@dataclass(frozen=True)
class Summary:
    """The result of a finished generation."""

    project: str
    number: int
    drawn: int
    duplicates: int
    published: int  # up for review or reviewed
    sheet: Path  # contact sheet, PNG


def prepare(project: Project, catalog: Catalog) -> Generation:
    """Check every setting, file and model before any work, and return the generation to run.

    Raises:
        UserError: one line that names what is wrong; the catalog is unchanged.
    """
    settings, base = project.settings_and_base
    specs.content_hash(base)
    for note in conflicts.notes(settings, base):
        _log.warning("%s", note)
    if not os.access(project.folder, os.W_OK):
        raise UserError(f"project folder {project.folder}: it cannot be written")
    entries.check(project, catalog, settings)
    dataset = entries.of_project(project, catalog)
    examples.check_captions(
        base, [(entry.path, entry.caption) for entry in dataset], settings.training.max_token_length
    )
    recipe_inputs = inputs.gather(project, catalog)
    class_pictures.check(project)
    _tell_of_pictures(project, catalog)
    latest = generations.latest(catalog, project.name) or 0
    # Either the latest generation resumes, or a new one begins.
    _check_prompts(project, recipe_inputs, [number for number in (latest, latest + 1) if number])
    if settings.training.optimizer != "AdamW":
        from bootstrap.training import optimizers

        optimizers.check(settings.training)
    if settings.training.mixed_precision == "fp16":
        from bootstrap.models import loading
        from bootstrap.training import trainer

        trainer.precision_of(settings.training, loading.best_device())
    pick_files.finish_interrupted(project, catalog)
    for folder in (
        *project.folder.glob("generation-*/candidates"),
        *project.folder.glob("generation-*/training-*"),
    ):
        remove_partial_files(folder)
    return Generation(project, catalog, generations.begin(catalog, project.name))


def _tell_of_pictures(project: Project, catalog: Catalog) -> None:
    """Log which pictures training does not use as a whole."""
    paths = [
        *(entry.path for entry in entries.of_project(project, catalog)),
        *(class_picture.path for class_picture in class_pictures.in_folder(project)),
    ]
    geometry = specs.geometry(project.base_model)
    sizes = ((path.name, images.size_of(path)) for path in paths)
    line = examples.cut_off_line(project, geometry, sizes) if geometry else None
    if line:
        _log.warning("%s", line)
    for path in paths:
        if images.has_more_frames(path):
            _log.warning(
                "project '%s': %s has several frames or pages; the first one is used", project.name, path
            )


def _check_prompts(project: Project, recipe_inputs: Inputs, numbers: list[int]) -> None:
    """Check every LoRA, embedding and wildcard file that the prompts of these generations name."""
    settings, shelf = project.settings, Shelf.of(project)
    if settings.asks_adviser:  # any snapshot will do here
        settings = with_advice(settings, Advice([Measurement(1, 1.0, 1.0, None)], 1, 1))
    shots = []
    # Nothing is drawn, so any size will do.
    width, height = recipe_inputs.original_size if any(recipe_inputs.original_size) else (64, 64)
    for number in numbers:
        shared = DrawnWith(
            "", "", "", "", number, width, height, inputs=recipe_inputs, wildcards=shelf.wildcards
        )
        shots += expand(settings, shared)
    _check_texts(project, shots)
    pairs = [(each.prompt, each.negative_prompt) for shot in shots for each in shot.passes]
    for prompt in (*settings.training.sample_prompts, settings.training.class_tokens or ""):
        negative = parse.without_comments(settings.drawing.negative_prompt)
        pairs.append((parse.without_comments(prompt), negative))
    if shelf.inside("embeddings") or any("<" in prompt for prompt, _ in pairs):
        from bootstrap.drawing import networks  # imports torch, which takes seconds: only if needed

        networks.check(project.base_model, shelf, list(dict.fromkeys(pairs)))


def _check_texts(project: Project, shots: Sequence[Shot]) -> None:
    """Refuse texts that the base model's family cannot read, whatever wildcards brought them into the prompts."""
    base = project.base_model
    family = specs.family(base)
    if family is None:
        return
    prompts = dict.fromkeys(
        (text, each.steps)
        for shot in shots
        for each in shot.passes
        for text in (each.prompt, each.negative_prompt)
    )
    for prompt, steps in prompts:
        try:
            for spans in parse.spans_of(prompt, steps):
                family.check_prompt(spans, specs.files(base))
        except ValueError as error:
            raise UserError(f"prompt '{in_one_line(prompt)[:200]}': {error}") from None
    shelf = Shelf.of(project)
    vocabulary = specs.vocabulary(base) if shelf.embeddings else None
    if vocabulary is not None and not vocabulary.widths:
        shelf.refuse_embeddings("\n".join(prompt for prompt, _ in prompts), family.title)


def train(generation: Generation, report: Report = silent) -> None:
    """Train the generation's LoRA on the present dataset, or resume an interrupted training.

    Then draw the sample prompts, if any, with each snapshot, and measure the snapshots, if a recipe has
    `snapshot = "auto"`.
    """
    # Imports torch, which takes seconds that other verbs do not have to wait.
    from bootstrap.drawing import class_pictures as drawn_class_pictures
    from bootstrap.training import snapshot_training

    report = _enter(generation, GenerationState.TRAINING, report)
    regularization = drawn_class_pictures.pictures(generation.project, report)
    snapshot_training.train_snapshots(generation, regularization, report)
    if generation.settings.training.sample_prompts:
        from bootstrap.drawing import samples

        samples.draw_samples(generation, report)
    if generation.settings.asks_adviser:
        from bootstrap.adviser import advising

        advising.advise(generation, report)


def draw(generation: Generation, report: Report = silent, more: bool = False) -> None:
    """Draw the missing candidates of the recipes; with `more`, if none is missing, as many again."""
    from bootstrap.drawing import candidate_drawing

    candidate_drawing.draw_candidates(generation, _enter(generation, GenerationState.DRAWING, report), more)


def plan_drawing(
    generation: Generation, workers: int = 1, report: Report = silent, more: bool = False
) -> "list[Shard]":
    """Begin drawing in parts: return the shards for `draw_shard`, which may run on this or another machine."""
    from bootstrap.drawing import candidate_drawing, shards

    _enter(generation, GenerationState.DRAWING, report)
    plan = candidate_drawing.plan_candidates(generation, more)
    report(Progress("draw", plan.done, plan.total, "pictures"))
    return shards.split(plan, generation.settings.drawing.batch_size, workers)


def draw_shard(generation: Generation, shard: "Shard", report: Report = silent) -> None:
    """Draw the missing shots of a shard; the progress reported assumes that the shards before it are done."""
    from bootstrap.drawing import candidate_drawing

    def report_in_all(progress: Progress) -> None:
        report(replace(progress, done=shard.before + progress.done, total=shard.total))

    candidate_drawing.draw_planned(generation, shard.planned, report_in_all)


@contextmanager
def ending_recorded(
    generation: Generation, stopped_by: Mapping[type[BaseException], str] = MappingProxyType({})
) -> Iterator[None]:
    """Record in the catalog that a run failed or was cancelled (Ctrl-C), if it ends with an exception.

    Args:
        stopped_by: exceptions that cancel the generation instead of failing it, with the message of each.
    """
    try:
        yield
    except LeaseLost:
        raise  # the generation belongs to another run now
    except BaseException as error:
        if type(error) in stopped_by:
            ending = GenerationState.CANCELLED, stopped_by[type(error)]
        elif isinstance(error, Exception):
            ending = GenerationState.FAILED, reason_of(error)
        else:  # Ctrl-C, or a signal as Prefect reports it
            ending = GenerationState.CANCELLED, STOPPED
        try:
            generation.set_state(*ending)
        except Exception as failure:
            problem = machine_problem(failure)
            if problem is None:
                raise
            # What ended the run often keeps the catalog from recording it: the caller gets the cause.
            _log.warning("the end of the run could not be recorded: %s", problem)
        raise


def _enter(generation: Generation, state: GenerationState, report: Report) -> Report:
    """Begin a station, unless another run has taken over the project; return the report for its work."""
    leases.check()
    generation.set_state(state)
    return reporter(generation, report)


def reporter(generation: Generation, report: Report) -> Report:
    """Return a report that also writes to the catalog, and stops a run whose project another run has taken over."""
    to_catalog = generations.reporter(generation.catalog, generation.project.name, generation.number)

    def report_everywhere(progress: Progress) -> None:
        leases.check()
        report(progress)
        to_catalog(progress)

    return report_everywhere


def curate(generation: Generation, report: Report = silent) -> None:
    """Hash the new candidates, mark those that duplicate an earlier one, and score the others."""
    look_through(generation, _enter(generation, GenerationState.CURATING, report))


def look_through(generation: Generation, report: Report = silent) -> None:
    """Do the work of `curate` without changing the generation's state."""
    from bootstrap.curation import duplicate_marking, scoring

    duplicate_marking.mark_duplicates(generation, report)
    scoring.score(generation, report)


def publish(generation: Generation) -> Summary:
    """Put the curated candidates up for review, likely picks first, and make their contact sheet."""
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
