"""Sheets: one prompt drawn over two or three parameters, such as strength by snapshot (`sid sheet`)."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from PIL import Image

from bootstrap import captions, images
from bootstrap.catalog import sheets
from bootstrap.catalog.trainings import Training
from bootstrap.commands import command
from bootstrap.drawing import engine, samplers, sheet_file
from bootstrap.drawing.candidate_drawing import drawn_with, open_loras
from bootstrap.drawing.networks import with_networks
from bootstrap.errors import UserError
from bootstrap.models import loading
from bootstrap.models.family import SAMPLERS, SCHEDULES, BaseModel, sampler_and_schedule
from bootstrap.pictures import contact_sheet
from bootstrap.pictures.contact_sheet import Cell
from bootstrap.planning.expand import lora_file_name
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report
from bootstrap.project.generation import Generation
from bootstrap.prompting import parse
from bootstrap.prompting.choices import Choices
from bootstrap.shot_limits import (
    LEAST_CFG_SCALE,
    LEAST_STRENGTH,
    MOST_CFG_SCALE,
    MOST_CLIP_SKIP,
    MOST_STEPS,
    MOST_STRENGTH,
)
from bootstrap.shots import LoraUse, Shot

_READERS: dict[str, Callable[[str], Any]] = {
    "strength": float, "snapshot": int, "seed": int, "steps": int, "cfg_scale": float, "sampler": str, "schedule": str,
    "clip_skip": int,
}  # fmt: skip


_MOST_PIXELS = 500_000_000  # of all pictures of a sheet together


@dataclass(frozen=True)
class Axis:
    """One parameter and its values along one side of the sheet."""

    name: str  # a key of _READERS
    values: tuple[Any, ...]


def parse_axis(text: str) -> Axis:
    """Parse an axis such as `strength=0.4,0.6,0.8`.

    Raises:
        UserError: the text is not of that form, or does not name a parameter of a shot.
    """
    name, equals, value_list = text.partition("=")
    name = name.strip()
    if not equals or name not in _READERS:
        raise UserError(f"axis '{text}': write parameter=value,value,... with one of {', '.join(_READERS)}")
    try:
        values = tuple(_READERS[name](value.strip()) for value in value_list.split(","))
    except ValueError:
        raise UserError(f"axis '{text}': '{value_list}' is not a list of values for {name}") from None
    _check_values(name, values)
    return Axis(name, values)


def _check_values(name: str, values: tuple[Any, ...]) -> None:
    limits = {
        "strength": (LEAST_STRENGTH, MOST_STRENGTH),
        "snapshot": (1, 1000),
        "seed": (0, 2**32 - 1),
        "steps": (1, MOST_STEPS),
        "cfg_scale": (LEAST_CFG_SCALE, MOST_CFG_SCALE),
        "clip_skip": (1, MOST_CLIP_SKIP),
    }
    for value in values:
        if name == "sampler" and sampler_and_schedule(value)[0] not in SAMPLERS:
            raise UserError(f"axis sampler: '{value}' is unknown; use {', '.join(SAMPLERS)}")
        if name == "schedule" and value not in SCHEDULES:
            raise UserError(f"axis schedule: '{value}' is unknown; use {', '.join(SCHEDULES)}")
        if name in limits and not limits[name][0] <= value <= limits[name][1]:
            raise UserError(f"axis {name}: {value} is not from {limits[name][0]} to {limits[name][1]}")


def draw_sheet(
    generation: Generation,
    x: Axis,
    y: Axis,
    prompt: str | None,
    report: Report,
    z: Axis | None = None,
) -> Path:
    """Draw every pair of values with the same seed, beside the original, as a PNG that is listed in the catalog.

    Strength 0 shows the base model without the LoRA.

    Args:
        prompt: a prompt to draw; None: the project's caption.
        z: a third parameter: the grid of x and y is drawn for each of its values, one below the other.

    Returns:
        The PNG in the generation's folder `sheets`; the same sheet drawn again replaces it.

    Raises:
        UserError: the generation has not been trained, or has no such snapshot.
    """
    axes = [x, y, z] if z else [x, y]
    names = [axis.name for axis in axes]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UserError(f"axes: {repeated[0]} is named twice; choose different parameters")
    older = [
        value for axis in axes if axis.name == "sampler" for value in axis.values if value not in SAMPLERS
    ]
    if older and "schedule" in names:
        raise UserError(
            f"axes: sampler {older[0]} names a schedule itself; write {sampler_and_schedule(older[0])[0]}"
        )
    project, training = generation.project, generation.training()
    if training is None or not training.finished:
        raise UserError(f"{generation}: its training has not finished, see `{command('status')}`")
    base = loading.hold(project.base_model)
    common = common_shot(generation, base, training, prompt)
    _check_amount(axes, common)
    row_values = list(product(z.values if z else (None,), y.values))
    grid = [
        [_at(common, (x, x_value), (y, y_value), (z, z_value)) for x_value in x.values]
        for z_value, y_value in row_values
    ]
    _check_snapshots(training, [shot for row in grid for shot in row])
    for shot in {shot for row in grid for shot in row}:
        samplers.check(shot, base.family)
    shelf = Shelf.of(project)
    grid = [with_networks(base, shelf, [_without_idle_lora(shot) for shot in row]) for row in grid]
    shots = list({shot.id: shot for row in grid for shot in row}.values())
    pictures: dict[str, Image.Image] = {}
    loras = open_loras(generation, training, shots)
    for batch in engine.draw_batches(base, shots, loras, project.settings.drawing.batch_size):
        pictures.update({drawing.shot.id: drawing.picture for drawing in batch})
        report(Progress("sheet", len(pictures), len(shots), "pictures"))
    original = images.fit(images.open_picture(project.original), common.width, common.height)
    title = f"{project.name}, generation {generation.number}: {prompt or 'its caption'}"
    picture = contact_sheet.compose(title, _cells(original, grid, pictures, x, y, z), len(x.values) + 1)
    sheet = sheet_file.sheet_for(generation, {axis.name: list(axis.values) for axis in axes}, prompt or "")
    sheet_file.save(picture, sheet, project)
    sheets.note(generation.catalog, project.name, sheet)
    return project.folder / sheet.path


def _check_amount(axes: Sequence[Axis], shot: Shot) -> None:
    count = math.prod(len(axis.values) for axis in axes)
    most = _MOST_PIXELS // (shot.width * shot.height)
    if count > most:
        raise UserError(
            f"axes: {' x '.join(str(len(axis.values)) for axis in axes)} are {count:,} pictures of "
            f"{shot.width}x{shot.height}, {most:,} at most fit on a sheet; give fewer values"
        )


def common_shot(generation: Generation, base: BaseModel, training: Training, prompt: str | None) -> Shot:
    """Return the shot that all shots of a sheet are made from: the last snapshot at strength 1.0."""
    shared, settings = drawn_with(generation, base, training), generation.settings
    epoch = training.snapshots[-1].epoch
    lora = LoraUse(lora_file_name(shared.lora_name, epoch), training.training_id, epoch, 1.0)
    drawing = settings.drawing
    negative = parse.without_comments(drawing.negative_prompt)
    return Shot(
        parse.without_comments(prompt) if prompt else captions.as_prompt(settings.project.tags),
        Choices(shared.wildcards).chosen(negative, drawing.seed),
        drawing.seed, drawing.steps, drawing.sampler, drawing.cfg_scale, shared.width, shared.height,
        shared.base_model, shared.base_model_hash, (lora,), settings.clip_skip, schedule=drawing.schedule,
    )  # fmt: skip


def _at(shot: Shot, *values: tuple[Axis | None, Any]) -> Shot:
    """Return the shot with the value of each axis, if given."""
    for axis, value in values:
        shot = with_value(shot, axis.name, value) if axis else shot
    return shot


def with_value(shot: Shot, name: str, value: Any) -> Shot:
    """Return the shot with another strength or snapshot of its first LoRA, or with another parameter."""
    lora, *others = shot.loras
    if name == "strength":
        return dataclasses.replace(shot, loras=(dataclasses.replace(lora, strength=value), *others))
    if name == "snapshot":
        file_name = lora_file_name(lora.name.rsplit("-", 1)[0], value)
        changed = dataclasses.replace(lora, snapshot=value, name=file_name)
        return dataclasses.replace(shot, loras=(changed, *others))
    if name == "sampler":
        sampler, schedule = sampler_and_schedule(value)
        return dataclasses.replace(shot, sampler=sampler, schedule=schedule or shot.schedule)
    return dataclasses.replace(shot, **{name: value})


def _without_idle_lora(shot: Shot) -> Shot:
    """Return the shot without a LoRA of strength 0: there all snapshots draw the same picture, which is drawn once."""
    return shot if shot.strength else dataclasses.replace(shot, loras=shot.loras[1:])


def _check_snapshots(training: Training, shots: Sequence[Shot]) -> None:
    epochs = [snapshot.epoch for snapshot in training.snapshots]
    for shot in shots:
        if shot.snapshot not in epochs:
            raise UserError(
                f"axis snapshot: there is no snapshot {shot.snapshot}; this training has {epochs}"
            )


def _cells(
    original: Image.Image,
    grid: list[list[Shot]],
    pictures: dict[str, Image.Image],
    x: Axis,
    y: Axis,
    z: Axis | None,
) -> list[Cell]:
    cells: list[Cell] = []
    for index, row in enumerate(grid):
        page, line = divmod(index, len(y.values))
        page_label = (f"{z.name} {z.values[page]}",) if z else ()
        first = original if index == 0 else Image.new("RGB", original.size, "white")
        cells.append(Cell(first, (*(page_label if line == 0 else ()), "original" if index == 0 else "")))
        for shot, across in zip(row, x.values, strict=True):
            idle = all(use.in_prompt for use in shot.loras)  # none besides those of the prompt
            label = (
                ("base model,", "without LoRA")
                if idle
                else (f"{x.name} {across}", f"{y.name} {y.values[line]}")
            )
            cells.append(Cell(pictures[shot.id], (*label, *page_label)))
    return cells
