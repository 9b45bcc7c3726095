"""Trainings and their snapshots in the catalog."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bootstrap import reading
from bootstrap.catalog.generations import generation_row
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import GenerationRow, ProjectRow, SnapshotRow, TrainingRow, now, remedy


@dataclass(frozen=True)
class Snapshot:
    """The LoRA file of one epoch."""

    training_id: str
    epoch: int
    path: Path  # relative to the project's folder
    sha256: str
    loss: float  # mean over the epoch


@dataclass(frozen=True)
class Training:
    """One training: its dataset, settings and snapshots."""

    training_id: str
    generation: int
    settings: dict[str, Any]
    dataset: list[dict[str, Any]]  # {"picture": sha256, "caption": ..., "repeats": n, "seen": steps} each
    steps: int  # finished so far
    finished: bool
    snapshots: list[Snapshot]  # by epoch


def begin(
    catalog: Catalog,
    project: str,
    number: int,
    training_id: str,
    settings: dict[str, Any],
    dataset: list[dict[str, Any]],
    started_at: datetime | None = None,
) -> datetime:
    """Record that a generation uses this training, and add the training if it is new.

    Args:
        started_at: when a training that is new to the catalog began; None: now.

    Returns:
        When the training began, the first time.
    """
    with catalog.write() as session:
        generation = generation_row(session, project, number)
        generation.training_id = training_id
        known = session.scalar(
            select(TrainingRow)
            .where(TrainingRow.project_id == generation.project_id, TrainingRow.training_id == training_id)
        )  # fmt: skip
        if known is None:
            known = TrainingRow(
                project_id=generation.project_id, generation_id=generation.id, training_id=training_id,
                settings=settings, dataset=dataset, started_at=started_at or now(),
            )  # fmt: skip
            session.add(known)
        return known.started_at


def add_snapshot(catalog: Catalog, project: str, snapshot: Snapshot, steps: int, seen: list[int]) -> None:
    """Record a snapshot whose file exists, and its training's progress up to it.

    Args:
        steps: finished so far, over all epochs.
        seen: how often each picture of the dataset was in a batch.
    """
    with catalog.write() as session:
        training = session.scalars(
            select(TrainingRow).join(ProjectRow)
            .where(ProjectRow.name == project, TrainingRow.training_id == snapshot.training_id)
        ).one()  # fmt: skip
        training.steps = steps
        training.dataset = [
            {**picture, "seen": count} for picture, count in zip(training.dataset, seen, strict=True)
        ]
        row = session.scalar(
            select(SnapshotRow)
            .where(SnapshotRow.training_row_id == training.id, SnapshotRow.epoch == snapshot.epoch)
        )  # fmt: skip
        if row is None:
            row = SnapshotRow(training_row_id=training.id, epoch=snapshot.epoch)
            session.add(row)
        row.path, row.sha256, row.loss = snapshot.path.as_posix(), snapshot.sha256, snapshot.loss


def finish(catalog: Catalog, project: str, training_id: str) -> None:
    """Record that a training has finished successfully."""
    with catalog.write() as session:
        training = session.scalars(
            select(TrainingRow).join(ProjectRow)
            .where(ProjectRow.name == project, TrainingRow.training_id == training_id)
        ).one()  # fmt: skip
        training.finished_at = now()


def snapshot_path(catalog: Catalog, project: str, training_id: str, epoch: int) -> Path | None:
    """Return the path of a snapshot's file, relative to its project's folder, or None if there is no such snapshot."""
    with catalog.read() as session:
        path = session.scalar(
            select(SnapshotRow.path).join(TrainingRow).join(ProjectRow)
            .where(ProjectRow.name == project, TrainingRow.training_id == training_id, SnapshotRow.epoch == epoch)
        )  # fmt: skip
    return Path(path) if path else None


def of_generation(catalog: Catalog, project: str, number: int) -> Training | None:
    """Return the training that a generation draws with, or None before that training has begun."""
    with catalog.read() as session:
        training_id = generation_row(session, project, number).training_id
    return find(catalog, project, training_id) if training_id else None


def find(catalog: Catalog, project: str, training_id: str) -> Training | None:
    """Return a training of a project by its id, or None if there is none."""
    with catalog.read() as session:
        row = session.scalar(
            select(TrainingRow).join(ProjectRow)
            .where(ProjectRow.name == project, TrainingRow.training_id == training_id)
        )  # fmt: skip
        if row is None:
            return None
        snapshot_rows = session.scalars(
            select(SnapshotRow).where(SnapshotRow.training_row_id == row.id).order_by(SnapshotRow.epoch)
        ).all()
        trained_in = session.get_one(GenerationRow, row.generation_id).number
    snapshots = [
        Snapshot(row.training_id, saved.epoch, Path(saved.path), saved.sha256, saved.loss)
        for saved in snapshot_rows
    ]
    where = f"catalog: training '{training_id}'"
    return Training(
        row.training_id,
        trained_in,
        reading.shaped(dict[str, Any], row.settings, where, remedy()),
        reading.shaped(list[dict[str, Any]], row.dataset, where, remedy()),
        row.steps,
        row.finished_at is not None,
        snapshots,
    )


def of_project(catalog: Catalog, project: str) -> list[Training]:
    """Return all trainings of a project, in the order in which they began."""
    with catalog.read() as session:
        ids = session.scalars(
            select(TrainingRow.training_id).join(ProjectRow, TrainingRow.project_id == ProjectRow.id)
            .where(ProjectRow.name == project).order_by(TrainingRow.id)
        ).all()  # fmt: skip
    found = [find(catalog, project, training_id) for training_id in ids]
    return [training for training in found if training is not None]
