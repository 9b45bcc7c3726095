"""A lost catalog made again from a project's folder: trainings, candidates, picks, sheets.

Each LoRA file tells its training, each candidate its shot, each sheet what it shows, and the dataset's folder which
candidates were picked.
What only the catalog knew is lost with it: rejects, and accepted candidates that were not in the dataset yet, are up
for review again.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap.catalog import Catalog, candidate_states, candidates, generations, picks, sheets, trainings
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.picks import Pick
from bootstrap.catalog.states import GenerationState
from bootstrap.catalog.trainings import Snapshot
from bootstrap.drawing import infotext, sheet_file
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.loop import generation as loop
from bootstrap.project import running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.shots import Shot
from bootstrap.training import record

REVIEWER = "reindex"  # who accepts the picks, where nobody knows any more who did

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """What was put into the catalog."""

    generations: int = 0
    snapshots: int = 0
    candidates: int = 0
    picks: int = 0
    sheets: int = 0


def unknown_candidates(project: Project, catalog: Catalog) -> dict[int, list[Path]]:
    """Return the pictures of each generation that no row of the catalog has, as they were drawn."""
    known = candidates.ids(catalog, project.name)
    return {
        number: found
        for number, folder in _generation_folders(project)
        if (found := [path for path in _in_order(folder / "candidates") if path.stem not in known])
    }


def reindex(project: Project, catalog: Catalog) -> Restored:
    """Put into the catalog what the project's folder has and it has not; what it has stays as it is.

    A generation that comes back is "grown" if a later one is there or the dataset has picks of it, else it is
    "published". One that the catalog knows keeps its state; `sid run` curates what was added to an unfinished one.

    Raises:
        UserError: a generation is running, or the original cannot be read.
    """
    with running.exclusively(project):
        new = [
            number
            for number, _ in _generation_folders(project)
            if generations.restore(catalog, project.name, number)
        ]
        snapshots = sum(
            _add_snapshots(Generation(project, catalog, number)) for number, _ in _generation_folders(project)
        )
        added = 0
        for number, paths in unknown_candidates(project, catalog).items():
            incomplete = Generation(project, catalog, number)
            added += _add_candidates(incomplete, paths)
            _put_up(incomplete, number in new)
        picked = _add_picks(project, catalog)
        drawn = _add_sheets(project, catalog)
        _settle(project, catalog, new)
    return Restored(len(new), snapshots, added, picked, drawn)


def _generation_folders(project: Project) -> list[tuple[int, Path]]:
    found = [
        (int(match[1]), folder)
        for folder in project.folder.glob("generation-*")
        if (match := re.fullmatch(r"generation-(\d+)", folder.name))
    ]
    return sorted(found)


def _in_order(folder: Path) -> list[Path]:
    """The candidates' files as they were drawn: the order decides which of two look-alikes is the duplicate."""
    files = [path for path in folder.glob("*.png") if re.fullmatch(r"[0-9a-f]{16}", path.stem)]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _add_snapshots(generation: Generation) -> int:
    project, catalog, known = generation.project, generation.catalog, generation.training()
    there = {one.path for one in known.snapshots} if known else set()
    added = 0
    for path, told in _records(generation.folder):
        relative = path.relative_to(project.folder)
        if relative in there:
            continue
        trainings.begin(
            catalog, project.name, generation.number, told.training_id, told.settings, told.dataset
        )
        snapshot = Snapshot(told.training_id, told.epoch, relative, sha256_of_file(path), told.loss)
        trainings.add_snapshot(catalog, project.name, snapshot, told.steps, told.seen)
        if told.is_last:
            trainings.finish(catalog, project.name, told.training_id)
        added += 1
    return added


def _records(folder: Path) -> Iterator[tuple[Path, record.Record]]:
    """The snapshots of a generation, oldest first: the training that was begun last is the one to draw with."""
    files = sorted(
        folder.glob("training-*/*.safetensors"), key=lambda path: (path.stat().st_mtime_ns, path.name)
    )
    for path in files:
        told = record.of_file(path)
        if told is not None:
            yield path, told


def _add_candidates(generation: Generation, paths: list[Path]) -> int:
    folder = generation.project.folder
    new = [
        NewCandidate(path.stem, shot, path.relative_to(folder))
        for path in paths
        if (shot := _shot_of(path)) is not None
    ]
    candidate_states.add_drawn(generation.catalog, generation.project.name, generation.number, new)
    return len(new)


def _shot_of(path: Path) -> Shot | None:
    try:
        shot = infotext.shot_of(path)
    except UserError as error:
        _log.warning("left out: %s", error)
        return None
    if shot is None:
        _log.warning("%s is left out: it tells no shot, so it was not drawn by sid", path)
    return shot


def _put_up(restored: Generation, is_new: bool) -> None:
    """Curate and publish what was added, unless the generation is unfinished and `sid run` will do it."""
    from bootstrap.curation import publishing  # imports scipy: looking for what is missing need not wait

    if is_new or restored.state.is_up_for_review:
        loop.look_through(restored)
        publishing.publish(restored)
        if is_new:
            restored.set_state(GenerationState.PUBLISHED)


def _add_picks(project: Project, catalog: Catalog) -> int:
    """Accept each candidate that the dataset's folder has a copy of, and note it as a pick."""
    copies = [
        Pick(path.stem, path.relative_to(project.folder), caption_file.read_text("utf-8").strip())
        for path in _in_order(project.dataset_folder)
        if (caption_file := path.with_suffix(".txt")).is_file()
    ]
    return picks.restore(catalog, project.name, copies, REVIEWER)


def _add_sheets(project: Project, catalog: Catalog) -> int:
    known = {one.path for one in sheets.of_project(catalog, project.name)}
    added = 0
    for number, folder in _generation_folders(project):
        for path in (folder / sheet_file.FOLDER).glob("*.png"):
            if path.relative_to(project.folder) in known:
                continue
            found = sheet_file.read(Generation(project, catalog, number), path)
            if found is None:
                _log.warning("%s is left out: it is damaged, or no sheet of sid", path)
                continue
            sheets.note(catalog, project.name, found)
            added += 1
    return added


def _settle(project: Project, catalog: Catalog, new: list[int]) -> None:
    """The states of the generations that came back."""
    last = max((number for number, _ in _generation_folders(project)), default=0)
    for status in generations.statuses(catalog, project.name):
        if status.number not in new or status.state is GenerationState.CANCELLED:
            continue
        if status.number < last or status.accepted:
            Generation(project, catalog, status.number).set_state(GenerationState.GROWN)
