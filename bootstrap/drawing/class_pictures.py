"""Regularization pictures: the subject's class, drawn with the base model.

A picture is stored under the id of its shot and never drawn twice.
"""

from pathlib import Path

from bootstrap.dataset.class_pictures import ClassPicture, caption_of_class, in_folder
from bootstrap.drawing import engine, networks
from bootstrap.drawing.networks import with_networks
from bootstrap.files import whole_file
from bootstrap.models import loading
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report
from bootstrap.project.projects import Project
from bootstrap.prompting.choices import Choices
from bootstrap.shots import Shot
from bootstrap.training.examples import training_size


def pictures(project: Project, report: Report) -> list[ClassPicture]:
    """Return a project's regularization pictures, if it uses any, and draw the missing ones.

    Raises:
        UserError: see bootstrap.dataset.class_pictures.check.
    """
    settings = project.settings.training
    if settings.reg_data_dir is not None or settings.class_tokens is None:
        return list(in_folder(project))
    folder = project.folder / "regularization"
    shots = _shots(project)
    missing = [shot for shot in shots if not (folder / f"{shot.id}.png").is_file()]
    if missing:
        _draw(project, missing, folder, report)
    return [ClassPicture(folder / f"{shot.id}.png", caption_of_class(shot.prompt)) for shot in shots]


def _shots(project: Project) -> list[Shot]:
    base = loading.hold(project.base_model)
    size = training_size(project, base)
    drawing, training, shelf = project.settings.drawing, project.settings.training, Shelf.of(project)
    choices = Choices(shelf.wildcards)
    shots = [
        Shot(
            prompt=str(training.class_tokens),
            negative_prompt=drawing.negative_prompt,
            seed=(training.seed + number) % 2**32,
            steps=drawing.steps,
            sampler=drawing.sampler,
            schedule=drawing.schedule,
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
    return with_networks(base, shelf, [choices.of_shot(shot) for shot in shots])


def _draw(project: Project, shots: list[Shot], folder: Path, report: Report) -> None:
    base, done = loading.hold(project.base_model), 0
    loras = networks.open_files(Shelf.of(project), shots)
    for batch in engine.draw_batches(base, shots, loras, project.settings.drawing.batch_size):
        for drawing in batch:
            with whole_file(folder / f"{drawing.shot.id}.png") as temporary:
                drawing.picture.save(temporary, format="PNG")
        done += len(batch)
        report(Progress("regularization", done, len(shots), "pictures"))
