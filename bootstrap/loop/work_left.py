"""What the next run would do, and what a change of the settings makes stale: known before anything is saved or run.

Loads no model and imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from bootstrap import reading
from bootstrap.catalog import Catalog, candidates, generations, trainings
from bootstrap.catalog.states import CandidateState, GenerationState
from bootstrap.catalog.trainings import Training
from bootstrap.commands import command
from bootstrap.dataset import class_pictures
from bootstrap.errors import UserError, cell
from bootstrap.loop import forecast
from bootstrap.loop.forecast import Forecast
from bootstrap.models import specs
from bootstrap.project.editing import Edit
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.training.examples import examples_of, id_of
from bootstrap.training.schedule import Schedule

NOTHING = "nothing is missing: all that the settings ask for is trained and drawn"
_MOST_NAMED = 6  # changed settings


@dataclass(frozen=True)
class TrainingLeft:
    """What is left of the training that the next run draws with."""

    total: int  # steps
    epochs: int
    steps: int  # of these, still to do
    seconds: float | None  # for them, at the speed of the project's last training; None: there is none
    reasons: tuple[
        str, ...
    ]  # why the last training does not count, such as "epochs 6 -> 7"; empty: it does, or none


def training_left(project: Project, catalog: Catalog) -> TrainingLeft:
    """Return what is left of the training of the generation that runs next.

    Raises:
        UserError: a picture is missing, or a hub model is not downloaded yet, so sizes are unknown.
    """
    settings, spec = project.settings.training, project.base_model
    geometry = forecast.geometry_of(project, spec)
    examples = examples_of(project, catalog, geometry, list(class_pictures.in_folder(project)))
    training_id = id_of(examples, spec, specs.content_hash(spec), settings)
    total = Schedule(examples, settings).total_steps
    number = generations.next_number(catalog, project.name)
    begun = number <= (generations.latest(catalog, project.name) or 0)
    of_generation = Generation(project, catalog, number).training() if begun else None
    same = trainings.find(catalog, project.name, training_id)
    left = total - min(total, same.steps) if same else total
    speed = _steps_per_second(project, trainings.of_project(catalog, project.name))
    reasons: tuple[str, ...] = ()
    if of_generation is not None and of_generation.training_id != training_id:
        dataset = [[one.picture_sha256, one.caption] for one in examples if not one.is_regularization]
        reasons = _reasons(of_generation, settings.model_dump(), dataset, settings.OF_NO_CONSEQUENCE)
    return TrainingLeft(total, settings.epochs, left, left / speed if speed else None, reasons)


def line(left: TrainingLeft) -> str:
    """Return what is left of the training in one line, for `sid plan`."""
    per_epoch = f" ({left.epochs} epochs of {left.total // left.epochs})" if left.epochs > 1 else ""
    if not left.steps:
        return f"training: finished, {left.total} steps{per_epoch}"
    why = f"; again, because of: {_listed(left.reasons)}" if left.reasons else ""
    return f"training: {left.steps} of {left.total} steps to do{per_epoch}{_about(left.seconds)}{why}"


def _steps_per_second(project: Project, earlier: list[Training]) -> float | None:
    """Return the speed of the project's last training, from when its snapshots were written; None: it has too few.

    The median over the epochs leaves out the pauses of an interrupted training.
    """
    for training in reversed(earlier):
        speeds = []
        for one, other in pairwise(training.snapshots):
            files = [reading.inside(project.folder, each.path, "a snapshot") for each in (one, other)]
            if all(file.is_file() for file in files):
                seconds = files[1].stat().st_mtime - files[0].stat().st_mtime
                steps = training.steps * (other.epoch - one.epoch) / training.snapshots[-1].epoch
                speeds += [steps / seconds] if seconds > 0 else []
        if speeds:
            return median(speeds)
    return None


def _reasons(
    training: Training, settings: Mapping[str, Any], dataset: list[list[str]], without: set[str]
) -> tuple[str, ...]:
    """Return why another training is needed than this one."""
    changed = [
        f"{name} {_value(training.settings.get(name))} -> {_value(value)}"
        for name, value in settings.items()
        if name not in without and name in training.settings and training.settings[name] != value
    ]
    if [[one["picture"], one["caption"]] for one in training.dataset] != dataset:
        changed.append("another dataset or other captions")
    return tuple(changed) or ("another base model, or other pictures beside the dataset",)


def _value(value: Any) -> str:
    return cell(f"{value:g}" if isinstance(value, float) else str(value), 40)


def nothing_is_missing(project: Project, catalog: Catalog) -> bool:
    """Return whether the latest generation is published and another run of it would do nothing.

    Raises:
        UserError: see bootstrap.loop.forecast.of_next_run.
    """
    statuses = generations.statuses(catalog, project.name)
    settings = project.settings
    if not statuses or statuses[-1].state is not GenerationState.PUBLISHED:
        return False
    if settings.training.sample_prompts or settings.asks_adviser or settings.training.class_tokens:
        return False  # what these draw and measure is known only while it runs
    raw = (CandidateState.DRAWN, CandidateState.CURATED, CandidateState.BROKEN)
    number = statuses[-1].number
    if any(candidates.candidates(catalog, project.name, generation=number, state=state) for state in raw):
        return False
    generation = Generation(project, catalog, number)
    training = generation.training()
    if training is None or not training.finished or not (generation.folder / "sheet.png").is_file():
        return False
    files = [reading.inside(project.folder, one.path, "a snapshot") for one in training.snapshots]
    # What a process that was killed at its very end has left; the training itself removes it.
    left_over = [file.with_name("state.safetensors") for file in files]
    if not all(file.is_file() for file in files) or any(file.exists() for file in left_over):
        return False
    return training_left(project, catalog).steps == 0 and not forecast.of_next_run(project, catalog).missing


def nothing_to_do(project: Project) -> str:
    """Return what to say when a run would do nothing."""
    return (
        f"{NOTHING}; more of the same with "
        f"`{command('run', project.name, '--more')}`, the next generation after `{command('grow', project.name)}`"
    )


def of_edit(catalog: Catalog, before: Project, edit: Edit) -> list[str]:
    """Return lines that say what a change of the settings makes stale, and what that costs the next run.

    Args:
        before: the project with the settings as they are.
        edit: the changed ones, not saved yet.

    Returns:
        Nothing if no generation is affected: none has begun, or the latest one is grown.
    """
    statuses = generations.statuses(catalog, before.name)
    if not statuses or statuses[-1].state is GenerationState.GROWN:
        return []
    number = statuses[-1].number
    lines = []
    try:
        training = training_left(edit.project, catalog)
        now_left = training_left(before, catalog)
        drawing, drawing_now = (
            forecast.of_next_run(edit.project, catalog),
            forecast.of_next_run(before, catalog),
        )
    except UserError as error:
        return [f"what this makes stale in generation {number} is not known yet: {error}"]
    if training.steps > now_left.steps or (training.reasons and training.reasons != now_left.reasons):
        lines.append(
            f"generation {number} is trained again ({_listed(training.reasons)}): {training.steps} steps"
            f"{_about(training.seconds)}; the LoRA files of before stay"
        )
    if drawing.missing > drawing_now.missing:
        lines.append(
            f"the next run draws {drawing.missing} of its {drawing.shots} shots{_instead(drawing_now)}"
            f"{_about(drawing.seconds)}; the {statuses[-1].candidates} candidates of before stay, with their verdicts"
        )
    if edit.project.settings.dedupe != before.settings.dedupe and statuses[-1].candidates:
        again = command("dedupe", before.name, "--again")
        lines.append(f"candidates that are there are compared with the new settings only by `{again}`")
    return lines


def _instead(now: Forecast) -> str:
    return f" instead of {now.missing}" if now.missing else ""


def _listed(reasons: tuple[str, ...]) -> str:
    named = ", ".join(reasons[:_MOST_NAMED])
    return f"{named} and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else named


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", {forecast.duration(seconds)}"
