"""The examples of a training: each picture with its caption, repeats and size, without loading a model."""

import re
from collections.abc import Iterable
from pathlib import Path

from bootstrap import images
from bootstrap.catalog import Catalog
from bootstrap.dataset import entries
from bootstrap.dataset.class_pictures import ClassPicture
from bootstrap.files import sha256_of_file
from bootstrap.models.family import BaseModel, Geometry
from bootstrap.project.projects import Project
from bootstrap.training.identity import Example

MOST_CUT_OFF = 0.15  # of a picture's area, before it is told


def examples_of(
    project: Project, catalog: Catalog, base: BaseModel | Geometry, class_pictures: list[ClassPicture]
) -> list[Example]:
    """Return the dataset with repeats and size of each picture, then the regularization pictures."""
    pictures = entries.of_project(project, catalog)
    project_size = training_size(project, base)

    def size(path: Path) -> tuple[int, int]:
        return _size_in_training(project, base, images.size_of(path), project_size)

    original_repeats, pick_repeats = entries.balance(len(pictures) - 1, project.settings.training.repeats)
    dataset = [
        Example(
            str(picture.path),
            picture.picture_sha256,
            picture.caption,
            original_repeats if picture.is_original else pick_repeats,
            size(picture.path),
        )
        for picture in pictures
    ]
    return dataset + [
        Example(str(picture.path), sha256_of_file(picture.path), picture.caption, 1, size(picture.path), True)
        for picture in class_pictures
    ]


def _size_in_training(
    project: Project, base: BaseModel | Geometry, picture_size: tuple[int, int], project_size: tuple[int, int]
) -> tuple[int, int]:
    """Return a size of the picture's own proportions, or the original's training size if it already has that."""
    if picture_size == project_size:
        return picture_size
    return fitted_size(picture_size, _resolution(project, base), base.size_step)


def cut_off_line(project: Project, base: BaseModel | Geometry, paths: Iterable[Path]) -> str | None:
    """Return a line about the pictures that lose more than 15 % of their area in training; None: there are none.

    A picture is scaled to cover the size that it trains at, whose sides are multiples of the model's step, and what
    reaches beyond is cut off.
    """
    project_size = training_size(project, base)
    cut = []
    for path in paths:
        width, height = images.size_of(path)
        trained = _size_in_training(project, base, (width, height), project_size)
        proportions = (width * trained[1]) / (height * trained[0])
        share = 1 - min(proportions, 1 / proportions)
        if share > MOST_CUT_OFF:
            cut.append((share, path.name, (width, height), trained))
    if not cut:
        return None
    share, name, (width, height), trained = max(cut)
    pictures = "1 picture" if len(cut) == 1 else f"{len(cut)} pictures"
    return (
        f"project '{project.name}': training cuts over {MOST_CUT_OFF:.0%} off {pictures}, most off {name}: {share:.0%} "
        f"({width}x{height}, trained at {trained[0]}x{trained[1]}); crop it yourself to choose what stays"
    )


def training_size(project: Project, base: BaseModel | Geometry) -> tuple[int, int]:
    """Return the width and height in pixels at which a project trains."""
    return fitted_size(images.size_of(project.original), _resolution(project, base), base.size_step)


def fitted_size(picture: tuple[int, int], resolution: int, step: int) -> tuple[int, int]:
    """Return the width and height to train at: about resolution x resolution pixels, in the picture's proportions.

    Args:
        picture: width and height of the original in pixels.
        resolution: side of the square whose area the result approximates.
        step: both sides are multiples of it.
    """
    width, height = picture
    scale = (resolution * resolution / (width * height)) ** 0.5
    return (max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step))


def _resolution(project: Project, base: BaseModel | Geometry) -> int:
    return project.settings.training.resolution or base.resolution


def output_name(project: Project, number: int) -> str:
    """Return kohya's output_name of a generation's LoRA, valid in `<lora:...>` and as a file name."""
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', project.name)}-g{number:02d}"
