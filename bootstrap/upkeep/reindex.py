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

from sqlalchemy import select

from bootstrap.catalog import Catalog, generations, sheets, trainings
from bootstrap.catalog.generations import generation_row, project_row
from bootstrap.catalog.tables import CandidateRow, GenerationRow, PickRow, ProjectRow, VerdictRow, now
from bootstrap.catalog.trainings import Snapshot
from bootstrap.drawing import infotext, sheet_file
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.loop import generation
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
    with catalog.read() as session:
        rows = select(CandidateRow.shot_id).join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        known = set(session.scalars(rows.where(ProjectRow.name == project.name)))
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
    with generation.exclusively(project):
        new = [number for number, _ in _generation_folders(project) if _begin(project, catalog, number)]
        snapshots = sum(
            _add_snapshots(project, catalog, number, folder)
            for number, folder in _generation_folders(project)
        )
        added = 0
        for number, paths in unknown_candidates(project, catalog).items():
            added += _add_candidates(project, catalog, number, paths)
            _put_up(project, catalog, number, number in new)
        picks = _add_picks(project, catalog)
        drawn = _add_sheets(project, catalog)
        _settle(project, catalog, new)
    return Restored(len(new), snapshots, added, picks, drawn)


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


def _begin(project: Project, catalog: Catalog, number: int) -> bool:
    """Make the generation's row where it is missing; whether it was."""
    with catalog.write() as session:
        owner = project_row(session, project.name)
        same = select(GenerationRow).where(
            GenerationRow.project_id == owner.id, GenerationRow.number == number
        )
        if session.scalar(same) is not None:
            return False
        session.add(GenerationRow(project_id=owner.id, number=number, state="cancelled"))
    return True


def _add_snapshots(project: Project, catalog: Catalog, number: int, folder: Path) -> int:
    known = trainings.of_generation(catalog, project.name, number)
    there = {one.path for one in known.snapshots} if known else set()
    added = 0
    for path, told in _records(folder):
        relative = path.relative_to(project.folder)
        if relative in there:
            continue
        trainings.begin(catalog, project.name, number, told.training_id, told.settings, told.dataset)
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


def _add_candidates(project: Project, catalog: Catalog, number: int, paths: list[Path]) -> int:
    shots = [(path, shot) for path in paths if (shot := _shot_of(path)) is not None]
    with catalog.write() as session:
        owner = generation_row(session, project.name, number)
        for path, shot in shots:
            session.add(
                CandidateRow(
                    project_id=owner.project_id, generation_id=owner.id, shot_id=path.stem, shot=shot.to_dict(),
                    path=path.relative_to(project.folder).as_posix(), state="drawn",
                )
            )  # fmt: skip
            session.flush()  # one by one: the order of the rows is the order of drawing
    return len(shots)


def _shot_of(path: Path) -> Shot | None:
    try:
        shot = infotext.shot_of(path)
    except UserError as error:
        _log.warning("left out: %s", error)
        return None
    if shot is None:
        _log.warning("%s is left out: it tells no shot, so it was not drawn by sid", path)
    return shot


def _put_up(project: Project, catalog: Catalog, number: int, is_new: bool) -> None:
    """Curate and publish what was added, unless the generation is unfinished and `sid run` will do it."""
    with catalog.read() as session:
        state = generation_row(session, project.name, number).state
    if is_new or state in ("published", "grown"):
        generation.curate(project, catalog, number)
        generation.publish(project, catalog, number)
        generations.set_state(catalog, project.name, number, "published" if is_new else state)


def _add_picks(project: Project, catalog: Catalog) -> int:
    """Accept each candidate that the dataset's folder has a copy of, and note it as a pick."""
    added = 0
    with catalog.write() as session:
        owner = project_row(session, project.name)
        for path in _in_order(project.dataset_folder):
            row = session.scalar(
                select(CandidateRow).where(
                    CandidateRow.project_id == owner.id, CandidateRow.shot_id == path.stem
                )
            )
            caption_file = path.with_suffix(".txt")
            if row is None or not caption_file.is_file():
                continue
            if session.scalar(select(PickRow).where(PickRow.candidate_id == row.id)) is not None:
                continue
            caption = caption_file.read_text("utf-8").strip()
            relative = path.relative_to(project.folder).as_posix()
            session.add(PickRow(candidate_id=row.id, path=relative, caption=caption))
            row.state, row.duplicate_of = "published", None
            if row.verdict != "accept":
                moment = now()
                session.add(
                    VerdictRow(
                        candidate_id=row.id, verdict="accept", before=row.verdict, reviewer=REVIEWER,
                        decided_at=moment,
                    )
                )  # fmt: skip
                row.verdict, row.reviewer, row.decided_at = "accept", REVIEWER, moment
            session.flush()
            added += 1
    return added


def _add_sheets(project: Project, catalog: Catalog) -> int:
    known = {one.path for one in sheets.of_project(catalog, project.name)}
    added = 0
    for number, folder in _generation_folders(project):
        for path in (folder / sheet_file.FOLDER).glob("*.png"):
            if path.relative_to(project.folder) in known:
                continue
            found = sheet_file.read(project, number, path)
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
        if status.number not in new or status.state == "cancelled":
            continue
        if status.number < last or status.accepted:
            generations.set_state(catalog, project.name, status.number, "grown")
