"""The drawing station: draw candidates from a generation's snapshots and recipes, as files and catalog rows."""

import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bootstrap import images, reading
from bootstrap.catalog import advices, candidate_states, candidates, generations, trainings
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.measurements import Measured
from bootstrap.catalog.trainings import Training
from bootstrap.curation.examining import Examiner
from bootstrap.drawing import engine, infotext, networks
from bootstrap.drawing.engine import Drawing
from bootstrap.drawing.shards import DrawingPlan, Planned
from bootstrap.errors import UserError
from bootstrap.files import path_of, sha256_of_file
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraFile
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel
from bootstrap.planning import inputs
from bootstrap.planning.expand import DrawnWith, expand, longer, with_advice
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.project.settings import Settings
from bootstrap.recipes.needs import NONE, Inputs
from bootstrap.shots import LoraUse, PictureUse, Shot
from bootstrap.training.examples import output_name, training_size


def draw_candidates(generation: Generation, report: Report, more: bool = False) -> None:
    """Draw the candidates that the recipes ask for and that do not exist yet; see plan_candidates for `more`.

    Raises:
        UserError: a file that a recipe needs is missing or does not fit, or memory is too small for one picture.
    """
    plan = plan_candidates(generation, more)
    report(Progress("draw", plan.done, plan.total, "pictures"))

    def report_in_all(progress: Progress) -> None:
        report(replace(progress, done=plan.done + progress.done, total=plan.total))

    draw_planned(generation, plan.missing, report_in_all)


def plan_candidates(generation: Generation, more: bool = False) -> DrawingPlan:
    """Return the shots to draw with the generation's training, and how many the recipes ask for in all.

    Args:
        more: if every candidate that the recipes ask for exists, plan as many again with other seeds.

    Raises:
        UserError: a file that a recipe needs is missing or does not fit.
    """
    project, catalog = generation.project, generation.catalog
    base = loading.hold(project.base_model)
    training = _training(generation)
    settings = advised(generation, training)
    shared = drawn_with(generation, base, training, inputs.gather(project, catalog))
    older_rule = candidates.began_by_older_rule(catalog, project.name, generation.number)
    shared = replace(shared, older_rule=older_rule)
    if settings.curation.adaptive:
        shared = replace(shared, tallies=generations.tallies_of(catalog, project.name, generation.number))
    shelf, missing = Shelf.of(project), list[Shot]()
    for times in itertools.count(1):
        shots = expand(longer(settings, times), shared)
        shots = engine.in_drawing_order(networks.with_networks(base, shelf, shots))
        missing = missing_shots(generation, shots)
        if missing or not more or not shots:
            break
    turns = {shot.id: turn for turn, shot in enumerate(shots)}
    return DrawingPlan([Planned(turns[shot.id], shot) for shot in missing], len(shots))


def draw_planned(generation: Generation, planned: Sequence[Planned], report: Report) -> None:
    """Draw these shots, except those that another run has drawn in the meantime.

    While a batch is drawn, the files of the batch before are written and its pictures hashed and measured. A
    candidate's row is written after its file, batch by batch. So a stopped run keeps every picture, and a killed run
    loses at most two batches.

    Raises:
        UserError: a file that a shot needs is missing or does not fit, or memory is too small for one picture.
    """
    training = _training(generation)
    missing_ids = {shot.id for shot in missing_shots(generation, [entry.shot for entry in planned])}
    missing = [entry for entry in planned if entry.shot.id in missing_ids]
    files = lora_paths(generation, training, [entry.shot for entry in missing])
    draw_shots(generation, missing, files, report, len(planned))


def draw_shots(
    generation: Generation,
    missing: Sequence[Planned],
    files: dict[LoraUse, Path],
    report: Report,
    wanted: int,
) -> None:
    """Draw shots as candidates of a generation; see draw_planned.

    Args:
        missing: in drawing order.
        files: the files of all LoRAs that they use.
        wanted: total to report: these shots and those drawn already.
    """
    turns = {entry.shot.id: entry.turn for entry in missing}
    hashes = {use.name: kohya.model_hash(path) for use, path in files.items()}
    project, folder = generation.project, generation.candidates_folder
    done = wanted - len(missing)
    report(Progress("draw", done, wanted, "pictures"))

    examiner = Examiner(project)

    def write(batch: _Batch) -> list[Measured]:
        for drawing in batch.drawings:
            text = infotext.write(drawing.shot, batch.model, hashes)
            infotext.save_png(drawing.picture, folder / f"{drawing.shot.id}.png", drawing.shot, text)
        examined = examiner.examine([drawing.picture for drawing in batch.drawings])
        return [examination.stored for examination in examined]

    drawn, started = 0, time.monotonic()
    with ThreadPoolExecutor(1, "write") as writer:
        written: Future[list[Measured]] | None = None
        before: _Batch | None = None

        def finish() -> None:
            """Wait for the files of the batch before, then add its rows to the catalog."""
            nonlocal written, before, drawn
            if written is None or before is None:
                return
            batch, future, written = before, written, None
            _add_candidates(generation, batch, future.result(), turns)
            drawn += len(batch.drawings)
            rate = drawn / (time.monotonic() - started)
            report(Progress("draw", done + drawn, wanted, "pictures", rate))

        try:
            for batch in _batches(project, [entry.shot for entry in missing], files):
                finish()
                before, written = batch, writer.submit(write, batch)
        finally:  # keep what is drawn, even if the run is stopped
            finish()


def _training(generation: Generation) -> Training:
    training = generation.training()
    if training is None:
        raise RuntimeError(f"{generation} has no training to draw with")
    return training


@dataclass(frozen=True)
class _Batch:
    """Pictures that were drawn together."""

    drawings: list[Drawing]
    model: str  # short name of the base model
    seconds: float  # per picture


def _batches(project: Project, shots: list[Shot], files: dict[LoraUse, Path]) -> Iterator[_Batch]:
    """Draw with each base model in turn."""
    pictures = open_pictures(project, shots)
    while shots:
        name, model_hash = shots[0].base_model, shots[0].base_model_hash
        of_model = [shot for shot in shots if shot.base_model_hash == model_hash]
        shots = [shot for shot in shots if shot.base_model_hash != model_hash]
        base = _held(project, name, model_hash)
        uses = {use for shot in of_model for drawn_pass in shot.passes for use in drawn_pass.loras}
        opened = {path: networks.open_lora(path) for path in {files[use] for use in uses}}
        loras = {use: opened[files[use]] for use in uses}
        started = time.monotonic()
        for drawings in engine.draw_batches(
            base, of_model, loras, project.settings.drawing.batch_size, pictures
        ):
            yield _Batch(drawings, base.spec.title, (time.monotonic() - started) / len(drawings))
            started = time.monotonic()


def _held(project: Project, name: str, model_hash: str) -> BaseModel:
    if name == project.base_model.name:
        spec = project.base_model
    else:
        # A candidate that is drawn again may name a base model that project.toml does not, or no longer.
        spec = specs.find(name, local_only=name not in inputs.named_base_models(project))
    base = loading.hold(spec)
    if base.hash != model_hash:
        raise UserError(f"base model {name}: its files have changed during the run; start the run again")
    return base


def advised(generation: Generation, training: Training) -> Settings:
    """Return the settings, with the adviser's choice for each `snapshot = "auto"`."""
    settings = generation.settings
    if not settings.asks_adviser:
        return settings
    advice = advices.of_training(generation.catalog, generation.project.name, training.training_id)
    if advice is None:
        raise RuntimeError(f"the snapshots of {generation} are not measured")
    return with_advice(settings, advice)


def drawn_with(
    generation: Generation, base: BaseModel, training: Training, recipe_inputs: Inputs = NONE
) -> DrawnWith:
    """Return what all shots of a generation share besides the settings."""
    project = generation.project
    drawing = project.settings.drawing
    width, height = training_size(project, base)
    return DrawnWith(
        base_model=project.base_model.name,
        base_model_hash=base.hash,
        training_id=training.training_id,
        lora_name=output_name(project, training.generation),
        generation=generation.number,
        width=drawing.width or width,
        height=drawing.height or height,
        size_step=base.size_step,
        inputs=recipe_inputs,
        wildcards=Shelf.of(project).wildcards,
    )


def missing_shots(generation: Generation, shots: list[Shot]) -> list[Shot]:
    """Return the shots without a row or a good file, in drawing order, so that a resumed run keeps the order."""
    project = generation.project
    paths = candidates.paths(generation.catalog, project.name)
    drawn = {candidate_id for candidate_id, path in paths.items() if (project.folder / path).is_file()}
    return [shot for shot in engine.in_drawing_order(shots) if shot.id not in drawn]


def open_loras(generation: Generation, training: Training, shots: list[Shot]) -> dict[LoraUse, LoraFile]:
    """Read the LoRA files that the shots use; see lora_paths."""
    paths = lora_paths(generation, training, shots)
    files = {path: networks.open_lora(path) for path in set(paths.values())}
    return {use: files[path] for use, path in paths.items()}


def lora_paths(generation: Generation, training: Training, shots: list[Shot]) -> dict[LoraUse, Path]:
    """Return the file of every LoRA used in any pass of the shots.

    Raises:
        UserError: another project's LoRA or a LoRA file is gone, or the file has changed.
    """
    shelf = Shelf.of(generation.project)
    uses = {use for shot in shots for drawn_pass in shot.passes for use in drawn_pass.loras}
    return {use: _file_of(generation, training, shelf, use) for use in uses}


def _file_of(generation: Generation, training: Training, shelf: Shelf, use: LoraUse) -> Path:
    project = generation.project
    if use.in_prompt:
        return shelf.lora(use.name)
    if not use.source:
        return reading.inside(project.folder, _path(training, use.snapshot), f"LoRA {use.name}")
    if use.sha256:
        path = project.folder / path_of(use.source, "the file of a LoRA:")
        if not path.is_file() or sha256_of_file(path) != use.sha256:
            raise UserError(f"LoRA {path}: the file is gone or has changed; start the run again")
        return path
    # The shot has the owner's name; it may have been renamed since.
    where = f"LoRA {use.name} of project '{use.source}'"
    for name in sorted(project.workspace.project_names(), key=lambda name: name != use.source):
        path_in_project = trainings.snapshot_path(generation.catalog, name, use.training_id, use.snapshot)
        if path_in_project is not None:
            snapshot = reading.inside(Project(project.workspace, name).folder, path_in_project, where)
            if snapshot.is_file():
                return snapshot
    raise UserError(f"{where}: the file is gone")


def open_pictures(project: Project, shots: list[Shot]) -> dict[str, Image.Image]:
    """Open the pictures and masks that shots start from, by SHA-256.

    Raises:
        UserError: a picture is gone or has changed.
    """
    uses = {use for shot in shots for use in shot.pictures}
    return {use.sha256: _opened(project, use) for use in uses}


def _opened(project: Project, use: PictureUse) -> Image.Image:
    path = project.folder / path_of(use.path, "a picture:")
    if path.is_file() and sha256_of_file(path) != use.sha256:
        raise UserError(f"picture {path}: the file has changed; start the run again")
    return images.open_picture(path)


def _path(training: Training, epoch: int) -> Path:
    return next(snapshot.path for snapshot in training.snapshots if snapshot.epoch == epoch)


def _add_candidates(
    generation: Generation, batch: _Batch, measured: Sequence[Measured], turns: dict[str, int]
) -> None:
    folder = generation.candidates_folder.relative_to(generation.project.folder)
    new = [
        NewCandidate(
            shot.id, shot, folder / f"{shot.id}.png", turns[shot.id], batch.seconds, of_picture
        )
        for shot, of_picture in zip((drawing.shot for drawing in batch.drawings), measured, strict=True)
    ]  # fmt: skip
    candidate_states.add_drawn(generation.catalog, generation.project.name, generation.number, new)
