"""Regularization: pictures of the subject's class, so that the LoRA does not turn the whole class into the subject.

They come from a folder, or the base model draws them itself; a drawn one is kept under the hash of its shot and
never drawn twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import images
from bootstrap.errors import UserError
from bootstrap.extra_networks import Shelf
from bootstrap.files import whole_file
from bootstrap.progress import Progress, Report
from bootstrap.project import Project
from bootstrap.shots import Shot

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


def pictures(project: Project, size: tuple[int, int], report: Report) -> list[ClassPicture]:
    """Return the pictures of a project's regularization, none if it wants none; draws those that are missing.

    Args:
        size: width and height in pixels of those that are drawn.

    Raises:
        UserError: see `check`.
    """
    settings = project.settings.training
    if settings.reg_data_dir is not None or settings.class_tokens is None:
        return list(in_folder(project))
    folder = project.folder / "regularization"
    shots = _shots(project, size)
    missing = [shot for shot in shots if not (folder / f"{shot.id}.png").is_file()]
    if missing:
        _draw(project, missing, folder, report)
    return [ClassPicture(folder / f"{shot.id}.png", settings.class_tokens) for shot in shots]


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


def _shots(project: Project, size: tuple[int, int]) -> list[Shot]:
    from bootstrap import base_model  # imports torch: verbs that only check need not wait for it
    from bootstrap.drawing.networks import with_networks

    base = base_model.hold(project.base_model)
    drawing, training = project.settings.drawing, project.settings.training
    shots = [
        Shot(
            prompt=str(training.class_tokens),
            negative_prompt=drawing.negative_prompt,
            seed=(training.seed + number) % 2**32,
            steps=drawing.steps,
            sampler=drawing.sampler,
            cfg_scale=drawing.cfg_scale,
            width=size[0],
            height=size[1],
            base_model=base.spec.title,
            base_model_hash=base.hash,
            loras=(),
            clip_skip=training.clip_skip,
            recipe="regularization",
        )
        for number in range(training.num_class_images)
    ]
    return with_networks(base, Shelf.of(project), shots)


def _draw(project: Project, shots: list[Shot], folder: Path, report: Report) -> None:
    from bootstrap import base_model
    from bootstrap.drawing import engine, networks

    base, done = base_model.hold(project.base_model), 0
    loras = networks.open_files(Shelf.of(project), shots)
    for batch in engine.draw(base, shots, loras, project.settings.drawing.batch_size):
        for drawing in batch:
            with whole_file(folder / f"{drawing.shot.id}.png") as temporary:
                drawing.picture.save(temporary, format="PNG")
        done += len(batch)
        report(Progress("regularization", done, len(shots), "pictures"))
