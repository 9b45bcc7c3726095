"""Regularization: pictures of the subject's class keep the LoRA from turning the whole class into the subject.

They come from a folder of the user's, or from the project's `regularization/` folder, where drawing/class_pictures.py
saves those that the base model draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions, images, reading
from bootstrap.errors import UserError
from bootstrap.files import path_of
from bootstrap.project.projects import Project

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


@dataclass(frozen=True)
class ClassPicture:
    """One regularization picture."""

    path: Path
    caption: str


def check(project: Project) -> None:
    """Check the pictures of training.reg_data_dir, without loading a model.

    Raises:
        UserError: the folder is missing or empty, a picture cannot be read or has no caption, or the settings are
            invalid.
    """
    for class_picture in in_folder(project):
        images.open_picture(class_picture.path)


def in_folder(project: Project) -> Iterator[ClassPicture]:
    """Yield the pictures of training.reg_data_dir, or none if it is not set.

    Raises:
        UserError: the folder is missing or empty, or a picture has no caption.
    """
    settings = project.settings.training
    if settings.reg_data_dir is None:
        return
    folder = project.folder / path_of(settings.reg_data_dir, "training.reg_data_dir")
    if not folder.is_dir():
        raise UserError(f"training.reg_data_dir {folder}: there is no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not paths:
        raise UserError(f"training.reg_data_dir {folder}: it has no picture ({', '.join(sorted(ENDINGS))})")
    for path in paths:
        text = path.with_suffix(".txt")
        caption = reading.text_file(text, str(text)).strip() if text.is_file() else settings.class_tokens
        try:
            captions.check_length(caption or "", "a caption")
        except ValueError as error:
            raise UserError(f"{text}: {error}") from None
        if not caption:
            raise UserError(
                f"{path}: it has no caption; write one to {text.name}, or set training.class_tokens for all pictures"
            )
        yield ClassPicture(path, caption)
