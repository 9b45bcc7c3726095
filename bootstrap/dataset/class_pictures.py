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

CAPTION_ENDINGS = {".txt", ".caption"}
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
        UserError: the folder is missing or empty, or a picture has no caption, or one that cannot be read as words.
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
    texts = _texts_by_stem(folder)
    of_all = caption_of_class(settings.class_tokens or "")
    for path in paths:
        beside = texts.get(path.stem, [])
        if len(beside) > 1:
            names = " and ".join(text.name for text in beside)
            raise UserError(f"{path}: it has {len(beside)} caption files, {names}; leave one")
        caption = _caption_in(beside[0]) if beside else of_all
        if not caption:
            name = beside[0].name if beside else f"{path.stem}.txt"
            raise UserError(
                f"{path}: it has no caption; write one to {name}, or set training.class_tokens for all pictures"
            )
        yield ClassPicture(path, caption)


def caption_of_class(class_tokens: str) -> str:
    """Return training.class_tokens as a caption: it is the prompt that class pictures are drawn from, too."""
    words = captions.of_prompt(class_tokens)
    return class_tokens if words == captions.parse(class_tokens) else captions.join(words)


def _texts_by_stem(folder: Path) -> dict[str, list[Path]]:
    """Return the caption files of a folder, as kohya and others name them, by the names of their pictures."""
    texts: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in CAPTION_ENDINGS:
            texts.setdefault(path.stem, []).append(path)
    return texts


def _caption_in(path: Path) -> str:
    """Return the caption in a file, as it is spelled there if it is words already; "": there is none.

    Raises:
        UserError: see reading.caption_file; or it is too long or has prompt syntax.
    """
    caption = reading.caption_file(path, str(path))
    try:
        captions.check_length(caption, "a caption")
        words = captions.read(caption)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return caption if words == captions.parse(caption) else captions.join(words)
