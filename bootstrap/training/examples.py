"""What a training trains on: each picture with its caption, repeats and size, known without loading a model."""

import re
from pathlib import Path

from PIL import Image

from bootstrap.catalog import Catalog
from bootstrap.dataset import entries
from bootstrap.dataset.class_pictures import ClassPicture
from bootstrap.files import sha256_of_file
from bootstrap.models.family import BaseModel, Geometry
from bootstrap.project.projects import Project
from bootstrap.training.identity import Example


def examples_of(
    project: Project, catalog: Catalog, base: BaseModel | Geometry, class_pictures: list[ClassPicture]
) -> list[Example]:
    """Return the dataset as training sees it, with repeats and size of each picture, and the regularization."""
    pictures = entries.of_project(project, catalog)
    of_project = training_size(project, base)

    def size(path: Path) -> tuple[int, int]:
        """A picture's own proportions; the original's training size where it has that already."""
        with Image.open(path) as picture:
            own = picture.size
        if own == of_project:
            return own
        return fitted_size(own, _resolution(project, base), base.size_step)

    of_original, of_pick = entries.balance(len(pictures) - 1, project.settings.training.repeats)
    shown = [
        Example(
            str(one.path),
            one.picture_sha256,
            one.caption,
            of_original if one.is_original else of_pick,
            size(one.path),
        )
        for one in pictures
    ]
    return shown + [
        Example(str(one.path), sha256_of_file(one.path), one.caption, 1, size(one.path), True)
        for one in class_pictures
    ]


def training_size(project: Project, base: BaseModel | Geometry) -> tuple[int, int]:
    """Return width and height in pixels that a project trains at."""
    with Image.open(project.original) as picture:
        return fitted_size(picture.size, _resolution(project, base), base.size_step)


def fitted_size(picture: tuple[int, int], resolution: int, step: int) -> tuple[int, int]:
    """Return width and height to train at: about resolution x resolution pixels, in the picture's proportions.

    Args:
        picture: width and height of the original in pixels.
        resolution: side of the square whose area is aimed at.
        step: both sides are multiples of it.
    """
    width, height = picture
    scale = (resolution * resolution / (width * height)) ** 0.5
    return (max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step))


def _resolution(project: Project, base: BaseModel | Geometry) -> int:
    return project.settings.training.resolution or base.resolution


def output_name(project: Project, number: int) -> str:
    """Return kohya's output_name of a generation's LoRA; it works in `<lora:...>` and as a file name."""
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', project.name)}-g{number:02d}"
