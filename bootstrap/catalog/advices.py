"""What the adviser found out about the snapshots of a training, in the catalog."""

from dataclasses import dataclass

from sqlalchemy import Select, select

from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import ProjectRow, SnapshotRow, TrainingRow


@dataclass(frozen=True)
class Measurement:
    """One snapshot, measured; see bootstrap.adviser.measuring."""

    epoch: int
    closeness: float  # of the drawn caption to the original: 0 as the base model's, 1 the same picture
    freedom: float  # of unrelated prompts: 1 drawn as by the base model, 0 no more alike than other prompts
    elimination: float | None  # how well a tag goes: 1 as with the base model, 0 not; None: it knows no tag

    @property
    def flexibility(self) -> float:
        """How much of the base model's flexibility is left: 1 all of it, 0 nothing."""
        return self.freedom if self.elimination is None else (self.freedom + self.elimination) / 2


@dataclass(frozen=True)
class Advice:
    """All snapshots of a training, measured, and the two to draw with."""

    measurements: list[Measurement]  # by epoch
    variation: int  # epoch of the snapshot to vary with
    replication: int  # epoch of the snapshot to replicate with

    @property
    def middle(self) -> int:
        """The epoch in the middle between the two, or the earlier one of two that are."""
        between = [one.epoch for one in self.measurements if self.variation <= one.epoch <= self.replication]
        return between[(len(between) - 1) // 2]


def add(catalog: Catalog, project: str, training_id: str, advice: Advice) -> None:
    """Note the advice on a training whose snapshots the catalog has."""
    with catalog.write() as session:
        training = session.scalars(_training(project, training_id)).one()
        training.variation, training.replication = advice.variation, advice.replication
        for one in advice.measurements:
            row = session.scalars(
                select(SnapshotRow)
                .where(SnapshotRow.training_row_id == training.id, SnapshotRow.epoch == one.epoch)
            ).one()  # fmt: skip
            row.closeness, row.freedom, row.elimination = one.closeness, one.freedom, one.elimination


def of_training(catalog: Catalog, project: str, training_id: str) -> Advice | None:
    """Return the advice on a training, None as long as its snapshots have not been measured."""
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
