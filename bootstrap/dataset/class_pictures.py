"""Regularization: pictures of the subject's class, so that the LoRA does not turn the whole class into the subject.

They come from a folder of the user's, or from the project's `regularization/` folder, where drawing/class_pictures.py
puts those that the base model draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import images
from bootstrap.errors import UserError
from bootstrap.project.projects import Project

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


@dataclass(frozen=True)
class ClassPicture:
    """One picture of the regularization."""

    path: Path
    caption: str


def check(project: Project) -> None:
    """Check, without loading a model, that the pictures can be had.

    Raises:
        UserError: the folder is missing or empty, a picture cannot be read or has no caption, or settings
            contradict each other.
    """
    for one in in_folder(project):
        images.open_picture(one.path)


def in_folder(project: Project) -> Iterator[ClassPicture]:
    """Yield the pictures of training.reg_data_dir, none without it.

    Raises:
        UserError: the folder is missing or empty, or a picture has no caption.
    """
    settings = project.settings.training
    if settings.reg_data_dir is None:
        return
    folder = project.folder / Path(settings.reg_data_dir).expanduser()
    if not folder.is_dir():
        raise UserError(f"training.reg_data_dir {folder}: there is no such folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not found:
        raise UserError(f"training.reg_data_dir {folder}: it has no picture ({', '.join(sorted(ENDINGS))})")
    for path in found:
        text = path.with_suffix(".txt")
        caption = text.read_text("utf-8").strip() if text.is_file() else settings.class_tokens
        if not caption:
            raise UserError(
                f"{path}: it has no caption; write it into {text.name}, or set training.class_tokens for all"
            )
        yield ClassPicture(path, caption)
