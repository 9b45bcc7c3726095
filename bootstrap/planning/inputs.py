"""What recipes need besides the project's own LoRA: found and checked before any model is loaded."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from bootstrap import images
from bootstrap.catalog import Catalog, generations, trainings
from bootstrap.catalog.trainings import Snapshot, Training
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models import specs
from bootstrap.models.family import Family
from bootstrap.project.projects import Project
from bootstrap.recipes.recipe_settings import (
    Box,
    ComposeRecipe,
    InpaintRecipe,
    OtherLora,
    RestyleRecipe,
    check_tag,
)
from bootstrap.shots import LoraUse, PictureUse

_Asked = tuple[str, int | None, int | None]  # project or file, generation, snapshot


@dataclass(frozen=True)
class Inputs:
    """Files, LoRAs and base models by the names that project.toml gives them."""

    original: PictureUse | None = None  # where a recipe starts from it
    original_size: tuple[int, int] = (0, 0)
    masks: dict[str, PictureUse] = field(default_factory=dict)
    loras: dict[_Asked, LoraUse] = field(default_factory=dict)  # as of strength 1.0
    base_models: dict[str, str] = field(default_factory=dict)  # their hashes


NONE = Inputs()


def gather(project: Project, catalog: Catalog) -> Inputs:
    """Find what the recipes of a project need.

    Raises:
        UserError: one line that names what is missing or does not fit: a mask, a box outside of the original, a LoRA
            or base model, a tag that another project's caption does not have.
    """
    original, size = None, (0, 0)
    masks: dict[str, PictureUse] = {}
    loras: dict[_Asked, LoraUse] = {}
    base_models: dict[str, str] = {}
    for recipe in project.settings.recipe:
        if isinstance(recipe, InpaintRecipe):
            original = PictureUse(project.original.name, sha256_of_file(project.original))
            with Image.open(project.original) as picture:
                size = picture.size
            for one in recipe.rounds:
                where = recipe.mask_of(one)
                if isinstance(where, str):
                    masks[where] = _mask(project, where, size)
                else:
                    _check_box(project, where, size)
        elif isinstance(recipe, ComposeRecipe):
            for other in recipe.loras:
                found = _file(project, other) if other.is_file else _of_project(project, catalog, other)
                loras[other.lora, other.generation, other.snapshot] = found
        elif isinstance(recipe, RestyleRecipe):
            base_models[recipe.base_model] = _base_model(project, recipe.base_model)
    _check_names(loras)
    return Inputs(original, size, masks, loras, base_models)


def fitted_box(box: Box, original_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a box in pixels of a picture of `size` that the original is fitted to.

    Raises:
        UserError: all of the box is cropped away.
    """
    x, y, width, height = box
    # As bootstrap.images.fit does it: the original covers the picture, and what sticks out is cropped on both sides.
    scale = max(size[0] / original_size[0], size[1] / original_size[1])
    left, top = (original_size[0] * scale - size[0]) / 2, (original_size[1] * scale - size[1]) / 2
    fitted = (
        max(0, math.floor(x * scale - left)),
        max(0, math.floor(y * scale - top)),
        min(size[0], math.ceil((x + width) * scale - left)),
        min(size[1], math.ceil((y + height) * scale - top)),
    )
    if fitted[0] >= fitted[2] or fitted[1] >= fitted[3]:
        raise UserError(
            f"recipe 'inpaint': the box {list(box)} lies where the original is cropped away to draw at "
            f"{size[0]}x{size[1]}; move the box, or set drawing.width and height in the original's proportions"
        )
    return fitted


def _check_box(project: Project, box: Box, size: tuple[int, int]) -> None:
    if box[0] + box[2] > size[0] or box[1] + box[3] > size[1]:
        raise UserError(
            f"recipe 'inpaint': the box {list(box)} (x, y, width, height) reaches beyond the original, which is "
            f"{size[0]}x{size[1]}; make it smaller"
        )
    drawing = project.settings.drawing
    # Without both it is drawn in the original's proportions, and next to nothing is cropped.
    if drawing.width and drawing.height:
        fitted_box(box, size, (drawing.width, drawing.height))


def _mask(project: Project, name: str, size: tuple[int, int]) -> PictureUse:
    path = project.folder / Path(name).expanduser()
    if not path.is_file():
        raise UserError(
            f"recipe 'inpaint': there is no mask {path}; its path is relative to the project's folder"
        )
    picture = images.open_picture(path)
    if picture.size != size:
        raise UserError(
            f"recipe 'inpaint': the mask {name} is {picture.width}x{picture.height}, the original {size[0]}x{size[1]}; "
            "make them the same size"
        )
    if not any(picture.convert("L").histogram()[128:]):
        raise UserError(f"recipe 'inpaint': the mask {name} has no white; what is white is drawn anew")
    return PictureUse(name, sha256_of_file(path))


def _file(project: Project, other: OtherLora) -> LoraUse:
    from bootstrap.lora import formats  # imports torch: who has no such recipe need not wait

    if other.generation is not None or other.snapshot is not None:
        raise UserError(f"recipe 'compose': {other.lora} is a file: leave out its generation and snapshot")
    path = project.folder / Path(other.lora).expanduser()
    _check_family(project, formats.family_of(path), f"the LoRA {other.lora}")
    return LoraUse(path.stem, "", 0, 1.0, sha256=sha256_of_file(path), source=other.lora)


def _of_project(project: Project, catalog: Catalog, other: OtherLora) -> LoraUse:
    owner = project.workspace.project(other.lora)
    caption = owner.settings.project.tags
    for tag in other.tags:
        try:
            check_tag(
                tag, caption, f"recipe 'compose': project '{owner.name}' has no tag '{tag}' in its caption"
            )
        except ValueError as error:
            raise UserError(str(error)) from None
    _check_family(project, specs.family(owner.base_model), f"the LoRA of project '{owner.name}'")
    training = _training(owner, catalog, other.generation)
    snapshot = _snapshot(training, owner, other.snapshot)
    if not (owner.folder / snapshot.path).is_file():
        raise UserError(
            f"recipe 'compose': the LoRA {owner.folder / snapshot.path} is gone; `sid run {owner.name}` trains it again"
        )
    return LoraUse(snapshot.path.stem, snapshot.training_id, snapshot.epoch, 1.0, source=owner.name)


def _training(owner: Project, catalog: Catalog, asked: int | None) -> Training:
    """The finished training of a generation, or the latest one."""
    latest = generations.latest(catalog, owner.name) or 0
    for number in [asked] if asked else range(latest, 0, -1):
        training = trainings.of_generation(catalog, owner.name, number) if number <= latest else None
        if training is not None and training.finished:
            return training
    which = f"generation {asked}" if asked else "generation"
    raise UserError(
        f"recipe 'compose': project '{owner.name}' has no trained {which} yet; train it first (`sid run {owner.name}`)"
    )


def _snapshot(training: Training, owner: Project, asked: int | None) -> Snapshot:
    epochs = [one.epoch for one in training.snapshots]
    if asked is not None and asked not in epochs:
        raise UserError(f"recipe 'compose': project '{owner.name}' has snapshots {epochs}, and no {asked}")
    return training.snapshots[epochs.index(asked) if asked else -1]


def _base_model(project: Project, name: str) -> str:
    spec = specs.find(name)
    _check_family(project, specs.family(spec), f"the base model {name} of recipe 'restyle'")
    return specs.content_hash(spec)


def _check_family(project: Project, family: Family | None, what: str) -> None:
    """Refuse what is of another family than the project's base model; None: it is not known yet."""
    mine = specs.family(project.base_model)
    if mine is not None and family is not None and mine is not family:
        raise UserError(
            f"{what} is of {family.title}, this project's base model {project.base_model.name} is {mine.title}; "
            "take one of its kind"
        )


def _check_names(loras: dict[_Asked, LoraUse]) -> None:
    """Infotext knows a LoRA by its file's name alone."""
    named: dict[str, LoraUse] = {}
    for use in loras.values():
        first = named.setdefault(use.name, use)
        if (first.training_id, first.sha256) != (use.training_id, use.sha256):
            raise UserError(f"recipe 'compose': two LoRA files are named {use.name}; rename one of them")
