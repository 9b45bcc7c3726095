"""Rebuild a lost catalog from a project's folder: trainings, candidates, picks, sheets.

Each LoRA file records its training, each candidate its shot and each sheet its parameters; the dataset's folder shows
which candidates were picked.
What only the catalog knew is lost: rejects, and accepted candidates that were not in the dataset yet, are up for
review again.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap import reading
from bootstrap.catalog import Catalog, candidate_states, candidates, generations, picks, sheets, trainings
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.picks import Pick
from bootstrap.catalog.states import CandidateState, GenerationState
from bootstrap.catalog.trainings import Snapshot
from bootstrap.dataset import pick_files
from bootstrap.drawing import infotext, sheet_file
from bootstrap.errors import UserError, reason_of
from bootstrap.files import sha256_of_file
from bootstrap.loop import generation as loop
from bootstrap.lora import metadata
from bootstrap.project import running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.shots import Shot
from bootstrap.training import record

REVIEWER = "reindex"  # stands for the unknown reviewer who accepted the picks

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """The numbers of rows that were added to the catalog."""

    generations: int = 0
    snapshots: int = 0
    candidates: int = 0
    picks: int = 0
    sheets: int = 0


def unknown_candidates(project: Project, catalog: Catalog) -> dict[int, list[Path]]:
    """Return the pictures of each generation that the catalog does not know, in the order of drawing."""
    known = candidates.ids(catalog, project.name)
    return {
        number: unknown
        for number, folder in _generation_folders(project)
        if (unknown := [path for path in _in_order(folder / "candidates") if path.stem not in known])
    }


def unknown_snapshots(project: Project, catalog: Catalog) -> list[Path]:
    """Return the LoRA files of trainings of this project that the catalog does not know."""
    known = {
        project.folder / snapshot.path
        for training in trainings.of_project(catalog, project.name)
        for snapshot in training.snapshots
    }
    folders = [folder for _, folder in _generation_folders(project)]
    return [path for folder in folders for path, _ in _records(folder) if path not in known]


def reindex(project: Project, catalog: Catalog) -> Restored:
    """Add to the catalog what only the project's folder has; existing rows stay as they are.

    A call that was killed is finished by the next one.

    A restored generation is "grown" if a later one exists or the dataset has picks of it; otherwise it is
    "published". A generation that the catalog knows keeps its state; if it is unfinished, `sid run` curates the added
    candidates.

    Raises:
        UserError: a generation is running, or the original cannot be read.
    """
    with running.exclusively(project):
        pick_files.finish_interrupted(project, catalog)
        numbers = [number for number, _ in _generation_folders(project)]
        generations.restore(catalog, project.name, numbers)
        new = generations.being_restored(catalog, project.name)
        snapshots = sum(_add_snapshots(Generation(project, catalog, number)) for number in numbers)
        unknown, added = unknown_candidates(project, catalog), 0
        for number in numbers:
            incomplete = Generation(project, catalog, number)
            if number in unknown:
                added += _add_candidates(incomplete, unknown[number])
            _publish(incomplete, number in new)
        picks_added = _add_picks(project, catalog)
        sheets_added = _add_sheets(project, catalog)
        _settle(project, catalog, new)
    return Restored(len(new), snapshots, added, picks_added, sheets_added)


def _generation_folders(project: Project) -> list[tuple[int, Path]]:
    numbered = [
        (int(match[1]), folder)
        for folder in project.folder.glob("generation-*")
        if (match := re.fullmatch(r"generation-(\d+)", folder.name))
    ]
    return sorted(numbered)


def _in_order(folder: Path) -> list[Path]:
    """Return the candidates' files in the order of drawing, which decides which of two look-alikes is the duplicate."""
    files = [path for path in folder.glob("*.png") if re.fullmatch(r"[0-9a-f]{16}", path.stem)]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _add_snapshots(generation: Generation) -> int:
    project, catalog, added = generation.project, generation.catalog, 0
    for path, saved in _records(generation.folder):
        relative = path.relative_to(project.folder)
        known = trainings.find(catalog, project.name, saved.training_id)
        if known is None or relative not in {snapshot.path for snapshot in known.snapshots}:
            trainings.begin(
                catalog, project.name, generation.number, saved.training_id, saved.settings, saved.dataset,
                metadata.started_at(path),
            )  # fmt: skip
            snapshot = Snapshot(saved.training_id, saved.epoch, relative, sha256_of_file(path), saved.loss)
            trainings.add_snapshot(catalog, project.name, snapshot, saved.steps, saved.seen)
            added += 1
        if saved.is_last and not (known and known.finished):
            trainings.finish(catalog, project.name, saved.training_id)
    return added


def _records(folder: Path) -> Iterator[tuple[Path, record.Record]]:
    """Yield a generation's snapshots, oldest first: the generation draws with the training that began last."""
    files = sorted(
        folder.glob("training-*/*.safetensors"), key=lambda path: (path.stat().st_mtime_ns, path.name)
    )
    for path in files:
        try:
            saved = record.of_file(path)
        except UserError as error:
            _log.warning("left out: %s", error)
            continue
        if saved is not None:
            yield path, saved


def _add_candidates(generation: Generation, paths: list[Path]) -> int:
    folder = generation.project.folder
    new = [
        NewCandidate(path.stem, shot, path.relative_to(folder))
        for path in paths
        if (shot := _shot_of(folder, path)) is not None
    ]
    candidate_states.add_drawn(generation.catalog, generation.project.name, generation.number, new)
    return len(new)


def _shot_of(folder: Path, path: Path) -> Shot | None:
    try:
        reading.inside(folder, path.relative_to(folder), f"picture {path}")
        shot = infotext.candidate_shot(path)
    except (UserError, OSError) as error:
        _log.warning("left out: %s", reason_of(error))
        return None
    if shot is None:
        _log.warning("%s is left out: it records no shot, so sid did not draw it", path)
    return shot


def _publish(restored: Generation, is_new: bool) -> None:
    """Curate and publish the added candidates, unless `sid run` will do so because the generation is unfinished."""
    states = {candidate.state for candidate in restored.candidates(state=None)}
    is_unfinished = bool(states & {CandidateState.DRAWN, CandidateState.CURATED})
    is_up = restored.state.is_up_for_review
    if not is_unfinished if is_up else not (is_new and states):
        return
    from bootstrap.curation import publishing  # imports scipy, which a mere check should not wait for

    loop.look_through(restored)
    publishing.publish(restored)
    if is_new:
        restored.set_state(GenerationState.PUBLISHED, generations.BEING_RESTORED)


def _add_picks(project: Project, catalog: Catalog) -> int:
    """Accept each candidate that the dataset's folder has a copy of, and record it as a pick."""
    copies = []
    for path in _in_order(project.dataset_folder):
        caption_file = path.with_suffix(".txt")
        if not caption_file.is_file():
            continue
        try:
            reading.inside(project.folder, path.relative_to(project.folder), f"picture {path}")
            caption = reading.caption_file(caption_file, f"caption {caption_file}")
        except (UserError, OSError) as error:
            _log.warning("left out: %s", reason_of(error))
            continue
        copies.append(Pick(path.stem, path.relative_to(project.folder), caption))
    return picks.restore(catalog, project.name, copies, REVIEWER)


def _add_sheets(project: Project, catalog: Catalog) -> int:
    known = {sheet.path for sheet in sheets.of_project(catalog, project.name)}
    added = 0
    for number, folder in _generation_folders(project):
        for path in (folder / sheet_file.FOLDER).glob("*.png"):
            if path.relative_to(project.folder) in known:
                continue
            sheet = sheet_file.read(Generation(project, catalog, number), path)
            if sheet is None:
                _log.warning("%s is left out: it is damaged, or is not a sheet drawn by sid", path)
                continue
            sheets.note(catalog, project.name, sheet)
            added += 1
    return added


def _settle(project: Project, catalog: Catalog, new: list[int]) -> None:
    """Set the final states of the restored generations, the latest first: it is the one that a run would work on."""
    last = max((number for number, _ in _generation_folders(project)), default=0)
    for status in reversed(generations.statuses(catalog, project.name)):
        if status.number not in new:
            continue
        is_grown = status.state is GenerationState.PUBLISHED and (status.number < last or status.accepted)
        Generation(project, catalog, status.number).set_state(
            GenerationState.GROWN if is_grown else status.state
        )
