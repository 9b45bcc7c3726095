"""The adviser's measurements of a training's snapshots, in the catalog."""

from dataclasses import dataclass

from sqlalchemy import Select, select

from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import ProjectRow, SnapshotRow, TrainingRow


@dataclass(frozen=True)
class Measurement:
    """The measurements of one snapshot; see bootstrap.adviser.measuring."""

    epoch: int
    closeness: float  # of the drawn caption to the original: 0 as close as the base model, 1 the same picture
    freedom: float  # of unrelated prompts: 1 drawn as the base model does, 0 no more alike than other prompts
    elimination: float | None  # of a tag: 1 as complete as with the base model, 0 none; None: it knows no tag

    @property
    def flexibility(self) -> float:
        """The share of the base model's flexibility that is left, 0 to 1."""
        return self.freedom if self.elimination is None else (self.freedom + self.elimination) / 2


@dataclass(frozen=True)
class Advice:
    """The measurements of all snapshots of a training, and the two snapshots to draw with."""

    measurements: list[Measurement]  # by epoch
    variation: int  # epoch of the snapshot to vary with
    replication: int  # epoch of the snapshot to replicate with

    @property
    def middle(self) -> int:
        """The epoch halfway between the two; of two middle ones, the earlier."""
        epochs = [measurement.epoch for measurement in self.measurements]
        between = [epoch for epoch in epochs if self.variation <= epoch <= self.replication]
        return between[(len(between) - 1) // 2]


def add(catalog: Catalog, project: str, training_id: str, advice: Advice) -> None:
    """Record the advice on a training whose snapshots the catalog has."""
    with catalog.write() as session:
        training = session.scalars(_training(project, training_id)).one()
        training.variation, training.replication = advice.variation, advice.replication
        for measurement in advice.measurements:
            row = session.scalars(
                select(SnapshotRow)
                .where(SnapshotRow.training_row_id == training.id, SnapshotRow.epoch == measurement.epoch)
            ).one()  # fmt: skip
            row.closeness, row.freedom = measurement.closeness, measurement.freedom
            row.elimination = measurement.elimination


def of_training(catalog: Catalog, project: str, training_id: str) -> Advice | None:
    """Return the advice on a training, or None until its snapshots have been measured."""
    with catalog.read() as session:
        training = session.scalar(_training(project, training_id))
        if training is None or training.variation is None or training.replication is None:
            return None
        rows = session.scalars(
            select(SnapshotRow).where(SnapshotRow.training_row_id == training.id).order_by(SnapshotRow.epoch)
        ).all()
    measurements = [
        Measurement(row.epoch, row.closeness, row.freedom, row.elimination)
        for row in rows
        if row.closeness is not None and row.freedom is not None
    ]
    return Advice(measurements, training.variation, training.replication)


def _training(project: str, training_id: str) -> Select[tuple[TrainingRow]]:
    return (
        select(TrainingRow)
        .join(ProjectRow)
        .where(ProjectRow.name == project, TrainingRow.training_id == training_id)
    )
