"""The drawing station: from a generation's snapshots and recipes to candidates, files and catalog rows."""

import time
from pathlib import Path

from sqlalchemy import select

from bootstrap import base_model
from bootstrap.base_model import BaseModel
from bootstrap.catalog import Catalog, advices, trainings
from bootstrap.catalog.generations import generation_row
from bootstrap.catalog.tables import CandidateRow
from bootstrap.catalog.trainings import Training
from bootstrap.drawing import engine, infotext, networks
from bootstrap.extra_networks import Shelf
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraFile
from bootstrap.progress import Progress, Report
from bootstrap.project import Project
from bootstrap.recipes.expand import DrawnWith, expand, with_advice
from bootstrap.shots import LoraUse, Shot
from bootstrap.training.run import output_name, training_size


def draw(project: Project, catalog: Catalog, number: int, report: Report) -> None:
    """Draw the candidates that the recipes ask for and that are not there yet.

    A candidate's row is written after its file, batch by batch, so that a killed run loses one batch at most.
    """
    base = base_model.hold(project.base_model)
    training = trainings.of_generation(catalog, project.name, number)
    if training is None:
        raise RuntimeError(f"generation {number} of '{project.name}' has no training to draw with")
    shots = _shots_of(project, catalog, base, training, number)
    missing = _missing(project, catalog, number, shots)
    loras = open_loras(project, training, missing)
    hashes = {
        use.name: kohya.model_hash(path) for use, path in lora_paths(project, training, missing).items()
    }
    folder = project.generation_folder(number) / "candidates"
    done, started = len(shots) - len(missing), time.monotonic()
    report(Progress("draw", done, len(shots), "pictures"))
    drawn = 0
    for batch in engine.draw(base, missing, loras, project.settings.drawing.batch_size):
        for drawing in batch:
            text = infotext.write(drawing.shot, base.spec.title, hashes)
            infotext.save_png(drawing.picture, folder / f"{drawing.shot.id}.png", drawing.shot, text)
        _add_rows(project, catalog, number, [drawing.shot for drawing in batch], folder)
        drawn += len(batch)
        rate = drawn / (time.monotonic() - started)
        report(Progress("draw", done + drawn, len(shots), "pictures", rate))


def _shots_of(
    project: Project, catalog: Catalog, base: BaseModel, training: Training, number: int
) -> list[Shot]:
    """All shots that a generation's recipes ask for."""
    settings = project.settings
    if settings.asks_adviser:
        advice = advices.of_training(catalog, project.name, training.training_id)
        if advice is None:
            raise RuntimeError(f"the snapshots of generation {number} of '{project.name}' are not measured")
        settings = with_advice(settings, advice)
    shots = expand(settings, drawn_with(project, base, training, number))
    return networks.with_networks(base, Shelf.of(project), shots)


def drawn_with(project: Project, base: BaseModel, training: Training, number: int) -> DrawnWith:
    """Return what all shots of a generation share besides the settings."""
    drawing = project.settings.drawing
    width, height = training_size(project, base)
    return DrawnWith(
        base_model=project.base_model.name,
        base_model_hash=base.hash,
        training_id=training.training_id,
        lora_name=output_name(project, training.generation),
        generation=number,
        width=drawing.width or width,
        height=drawing.height or height,
        wildcards=Shelf.of(project).wildcards,
    )


def _missing(project: Project, catalog: Catalog, number: int, shots: list[Shot]) -> list[Shot]:
    """The shots without a row or a good file; in drawing order, so that a resumed run goes on as begun."""
    with catalog.read() as session:
        generation = generation_row(session, project.name, number)
        rows = session.scalars(select(CandidateRow).where(CandidateRow.project_id == generation.project_id))
        there = {
            row.shot_id for row in rows if row.state != "broken" and (project.folder / row.path).is_file()
        }
    return [shot for shot in engine.in_drawing_order(shots) if shot.id not in there]


def open_loras(project: Project, training: Training, shots: list[Shot]) -> dict[LoraUse, LoraFile]:
    """Read the LoRA files that the shots use: the training's snapshots, and those that prompts name."""
    paths = lora_paths(project, training, shots)
    files = {path: networks.open_lora(path) for path in set(paths.values())}
    return {use: files[path] for use, path in paths.items()}


def lora_paths(project: Project, training: Training, shots: list[Shot]) -> dict[LoraUse, Path]:
    """Return where the LoRA files are that the shots use."""
    shelf = Shelf.of(project)
    return {
        use: shelf.lora(use.name) if use.sha256 else project.folder / _path(training, use.snapshot)
        for shot in shots
        for use in shot.loras
    }


def _path(training: Training, epoch: int) -> Path:
    return next(one.path for one in training.snapshots if one.epoch == epoch)


def _add_rows(project: Project, catalog: Catalog, number: int, shots: list[Shot], folder: Path) -> None:
    with catalog.write() as session:
        generation = generation_row(session, project.name, number)
        for shot in shots:
            path = (folder / f"{shot.id}.png").relative_to(project.folder).as_posix()
            known = session.scalar(
                select(CandidateRow).where(
                    CandidateRow.project_id == generation.project_id, CandidateRow.shot_id == shot.id
                )
            )
            if known is not None:  # its file was lost and has been drawn again; its verdict stands
                known.path = path
                known.state = "drawn" if known.state == "broken" else known.state
                continue
            session.add(
                CandidateRow(
                    project_id=generation.project_id, generation_id=generation.id, shot_id=shot.id,
                    shot=shot.to_dict(), path=path, state="drawn",
                )
            )  # fmt: skip
