"""The adviser: measure the snapshots of a training once, and advise which ones to draw with."""

from pathlib import Path

from bootstrap import images, reading
from bootstrap.adviser import choosing, measuring, plot, prompts
from bootstrap.catalog import advices
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.trainings import Training
from bootstrap.commands import command
from bootstrap.drawing.candidate_drawing import drawn_with
from bootstrap.drawing.networks import with_networks
from bootstrap.errors import UserError
from bootstrap.files import remove_file, whole_file
from bootstrap.lora import formats
from bootstrap.models import loading
from bootstrap.models.family import BaseModel
from bootstrap.planning.expand import lora_file_name
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report
from bootstrap.project.generation import Generation
from bootstrap.shots import LoraUse, Shot

_PROMPTS = 4
_STEPS = 8  # enough to recognize what a picture shows; its finish does not matter here


def advise(generation: Generation, report: Report) -> tuple[Advice, Path]:
    """Measure all snapshots of a generation, unless already done, and return the advice and the path of its plot.

    Raises:
        UserError: the generation's training has not finished.
    """
    project, catalog, training = generation.project, generation.catalog, generation.training()
    if training is None or not training.finished:
        raise UserError(f"{generation}: its training has not finished, see `{command('status')}`")
    first = reading.inside(project.folder, training.snapshots[0].path, f"{generation}: its LoRA")
    path = first.with_name("snapshots.png")
    advice = advices.of_training(catalog, project.name, training.training_id)
    if advice is None:
        advice = _measure_snapshots(generation, training, report)
        remove_file(path)  # a plot from an earlier catalog
        advices.add(catalog, project.name, training.training_id, advice)
    if not path.is_file():
        picture = plot.draw_plot(f"{project.name}, generation {training.generation}: its snapshots", advice)
        with whole_file(path) as temporary:
            picture.save(temporary, format="PNG")
    return advice, path


def _measure_snapshots(generation: Generation, training: Training, report: Report) -> Advice:
    project = generation.project
    base = loading.hold(project.base_model)
    task = _task(generation, base, training)
    lora_name = drawn_with(generation, base, training).lora_name
    snapshots = (
        (
            LoraUse(lora_file_name(lora_name, snapshot.epoch), training.training_id, snapshot.epoch, 1.0),
            formats.read(reading.inside(project.folder, snapshot.path, f"{generation}: its LoRA")),
        )
        for snapshot in training.snapshots
    )
    count = len(training.snapshots)
    report(Progress("advise", 0, count, "snapshots"))
    measurements = []
    for measurement in measuring.measure(base, task, snapshots):
        measurements.append(measurement)
        report(Progress("advise", len(measurements), count, "snapshots"))
    return choosing.choose(measurements)


def _task(generation: Generation, base: BaseModel, training: Training) -> measuring.Task:
    project, settings = generation.project, generation.settings
    shared = drawn_with(generation, base, training)
    drawing = settings.drawing
    common = Shot(
        "", drawing.negative_prompt, 0, min(drawing.steps, _STEPS), drawing.sampler, drawing.cfg_scale,
        shared.width, shared.height, shared.base_model, shared.base_model_hash, (), settings.clip_skip,
        schedule=drawing.schedule,
    )  # fmt: skip
    # Only the negative prompt can name networks: the other prompts are tags of the caption, or scenes.
    [common] = with_networks(base, Shelf.of(project), [common])
    original = images.fit(images.open_picture(project.original), shared.width, shared.height)
    unrelated = prompts.unrelated(project.base_model, settings.project.caption, _PROMPTS)
    return measuring.Task(original, settings.project.tags, unrelated, common, drawing.batch_size)
