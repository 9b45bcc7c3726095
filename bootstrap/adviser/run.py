"""The adviser: measures the snapshots of a training once, and says which ones to draw with."""

from pathlib import Path

from bootstrap import images
from bootstrap.adviser import choosing, measuring, plot, prompts
from bootstrap.catalog import advices
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.trainings import Training
from bootstrap.drawing.networks import with_networks
from bootstrap.drawing.run import drawn_with
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.lora import kohya
from bootstrap.models import loading
from bootstrap.models.family import BaseModel
from bootstrap.planning.expand import lora_file_name
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report
from bootstrap.project.generation import Generation
from bootstrap.shots import LoraUse, Shot

_PROMPTS = 4
_STEPS = 8  # enough to see what a picture shows; how clean it is does not matter here


def advise(generation: Generation, report: Report) -> tuple[Advice, Path]:
    """Measure all snapshots of a generation, unless that has been done, and return the advice and its plot.

    Raises:
        UserError: the generation has not been trained.
    """
    project, catalog, training = generation.project, generation.catalog, generation.training()
    if training is None or not training.finished:
        raise UserError(f"{generation}: its training has not finished, see `sid status`")
    path = (project.folder / training.snapshots[0].path).with_name("snapshots.png")
    advice = advices.of_training(catalog, project.name, training.training_id)
    if advice is None:
        advice = _measured(generation, training, report)
        path.unlink(missing_ok=True)  # of an earlier catalog
        advices.add(catalog, project.name, training.training_id, advice)
    if not path.is_file():
        picture = plot.draw(f"{project.name}, generation {training.generation}: its snapshots", advice)
        with whole_file(path) as temporary:
            picture.save(temporary, format="PNG")
    return advice, path


def _measured(generation: Generation, training: Training, report: Report) -> Advice:
    project = generation.project
    base = loading.hold(project.base_model)
    task = _task(generation, base, training)
    name = drawn_with(generation, base, training).lora_name
    snapshots = (
        (
            LoraUse(lora_file_name(name, one.epoch), training.training_id, one.epoch, 1.0),
            kohya.read(project.folder / one.path),
        )
        for one in training.snapshots
    )
    total = len(training.snapshots)
    report(Progress("advise", 0, total, "snapshots"))
    measurements = []
    for measurement in measuring.measure(base, task, snapshots):
        measurements.append(measurement)
        report(Progress("advise", len(measurements), total, "snapshots"))
    return choosing.choose(measurements)


def _task(generation: Generation, base: BaseModel, training: Training) -> measuring.Task:
    project, settings = generation.project, generation.settings
    shared = drawn_with(generation, base, training)
    drawing = settings.drawing
    common = Shot(
        "", drawing.negative_prompt, 0, min(drawing.steps, _STEPS), drawing.sampler, drawing.cfg_scale,
        shared.width, shared.height, shared.base_model, shared.base_model_hash, (), settings.clip_skip,
    )  # fmt: skip
    # What the negative prompt names; the prompts are the caption's tags, and scenes.
    [common] = with_networks(base, Shelf.of(project), [common])
    original = images.fit(images.open_picture(project.original), shared.width, shared.height)
    unrelated = prompts.unrelated(project.base_model, settings.project.caption, _PROMPTS)
    return measuring.Task(original, settings.project.tags, unrelated, common, drawing.batch_size)
