"""The catalog's tables: what exists and in which state."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    String,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bootstrap import shot_shape
from bootstrap.catalog.states import CandidateState, GenerationState, Verdict
from bootstrap.commands import command
from bootstrap.errors import UserError


def remedy() -> str:
    """Return what to do about a damaged row."""
    return f"move the catalog away (keep it) and run `{command('reindex')}`, which builds a new one"


class UtcTime(TypeDecorator[datetime]):
    """A point in time; SQLite drops time zones, so all times are stored in UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Return what makes a time of a database's value; it refuses what is none."""
        read = super().result_processor(dialect, coltype)
        if read is None:
            return None

        def checked(value: Any) -> datetime | None:
            try:
                return read(value)
            except (TypeError, ValueError):
                raise damaged(f"'{value!r}' is no time") from None

        return checked


class Text(TypeDecorator[str]):
    """A text; SQLite's columns take values of any type, and a damaged file may have one."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is not None and not isinstance(value, str):
            raise damaged(f"a text is {value!r}")
        return value


class _Shot(TypeDecorator[dict[str, Any]]):
    """A shot as JSON, checked whenever it is read."""

    impl = JSON
    cache_ok = True

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self.impl_instance.coerce_compared_value(op, value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> dict[str, Any]:
        shot_shape.check(value, "catalog: the shot of a candidate")
        assert isinstance(value, dict)
        return value


class _State(TypeDecorator[StrEnum]):
    """A state as text of up to 16 characters."""

    impl = String(16)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:
        try:
            return None if value is None else self.kind(value)
        except ValueError:
            raise damaged(f"'{value}' is no {self.kind.__name__}") from None


def damaged(problem: str) -> UserError:
    """Return the error for a row that no version of sid has written."""
    return UserError(f"catalog: a row is damaged ({problem}); {remedy()}")


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Table(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {datetime: UtcTime, str: Text, float: Double, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class ProjectRow(Table):
    """A project that the catalog knows."""

    __tablename__ = "project"
    __table_args__ = (Index("project_identity", "identity", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    # That of its folder; of a row whose folder is gone, something with a slash, see bootstrap.catalog.identities.
    name: Mapped[str] = mapped_column(Text(64), unique=True)
    identity: Mapped[str | None] = mapped_column(Text(32))  # the folder's; None: an earlier version made it
    created_at: Mapped[datetime] = mapped_column(default=now)


class GenerationRow(Table):
    """One turn of a project's loop, and how far it has come."""

    __tablename__ = "generation"
    __table_args__ = (UniqueConstraint("project_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    number: Mapped[int]
    state: Mapped[GenerationState] = mapped_column(_State(GenerationState))
    training_id: Mapped[str | None] = mapped_column(Text(64))
    stage: Mapped[str] = mapped_column(Text(16), default="")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    unit: Mapped[str] = mapped_column(Text(16), default="")
    rate: Mapped[float] = mapped_column(default=0.0)  # units per second
    message: Mapped[str] = mapped_column(default="")  # detail of the progress, or why it failed
    # The tallies of earlier shots when it began (see bootstrap.catalog.tallies), so that a resumed run draws the same.
    tallies: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    reviewed_at: Mapped[datetime | None]  # since when no candidate is undecided

    project: Mapped[ProjectRow] = relationship()


class LeaseRow(Table):
    """The run that works on a project now; see bootstrap.project.running."""

    __tablename__ = "lease"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    holder: Mapped[str] = mapped_column(Text(32))  # differs for each run
    machine: Mapped[str] = mapped_column(Text(255))
    process: Mapped[int]  # its id, only for display
    # Increases every few seconds while the run is alive:
    beats: Mapped[int] = mapped_column(BigInteger, default=0)
    beat_at: Mapped[datetime] = mapped_column(default=now)


class TrainingRow(Table):
    """One training: its dataset and settings."""

    __tablename__ = "training"
    __table_args__ = (UniqueConstraint("project_id", "training_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"))
    training_id: Mapped[str] = mapped_column(Text(64))
    settings: Mapped[dict[str, Any]]
    dataset: Mapped[list[Any]]  # [{"picture": sha256, "caption": ..., "repeats": n, "seen": steps}]
    steps: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    # The snapshots (epochs) to draw with, set once the adviser has measured them:
    variation: Mapped[int | None]
    replication: Mapped[int | None]


class SnapshotRow(Table):
    """The LoRA file of one epoch."""

    __tablename__ = "snapshot"
    __table_args__ = (UniqueConstraint("training_row_id", "epoch"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    training_row_id: Mapped[int] = mapped_column(ForeignKey("training.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    path: Mapped[str]  # relative to the project's folder
    sha256: Mapped[str] = mapped_column(Text(64))
    loss: Mapped[float]  # mean over the epoch
    # The adviser's measurements, see bootstrap.catalog.advices:
    closeness: Mapped[float | None]
    freedom: Mapped[float | None]
    elimination: Mapped[float | None]


class SheetRow(Table):
    """One prompt drawn over two or three parameters with a generation's LoRA; see bootstrap.catalog.sheets."""

    __tablename__ = "sheet"
    __table_args__ = (UniqueConstraint("generation_id", "path"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"))
    path: Mapped[str]  # relative to the project's folder
    axes: Mapped[list[Any]]  # [[parameter, [value, ...]], ...]: across, down, in blocks
    prompt: Mapped[str]  # "": the project's caption
    drawn_at: Mapped[datetime] = mapped_column(default=now)


class CandidateRow(Table):
    """A picture drawn from a shot, with its standing verdict."""

    __tablename__ = "candidate"
    __table_args__ = (
        UniqueConstraint("project_id", "shot_id"),
        Index("candidate_queue", "project_id", "generation_id", "state", "verdict"),
        Index("candidate_rank", "project_id", "generation_id", "state", "rank"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), index=True)
    shot_id: Mapped[str] = mapped_column(Text(16))
    shot: Mapped[dict[str, Any]] = mapped_column(_Shot())
    # Its place in its generation's plan: several workers draw in any order, and which candidate is a duplicate of
    # which must not depend on that.
    turn: Mapped[int] = mapped_column(default=0, server_default="0")
    path: Mapped[str]  # relative to the project's folder
    # Set once the candidate is curated:
    hash_kind: Mapped[str | None] = mapped_column(Text(16))  # the setting dedupe.hash when it was computed
    image_hash: Mapped[str | None] = mapped_column(Text(16))  # 16 hex digits, as imagehash writes it
    image_hash_mirrored: Mapped[str | None] = mapped_column(Text(16))
    texture: Mapped[float | None]  # amount of detail that a hash can rely on, see bootstrap.pictures.hashing
    seconds: Mapped[float | None]  # that drawing it took: its share of its batch's wall time
    coarse: Mapped[bytes | None]  # 64 gray levels, see bootstrap.pictures.hashing.coarse_copy
    state: Mapped[CandidateState] = mapped_column(_State(CandidateState))
    duplicate_of: Mapped[str | None] = mapped_column(Text(32))  # a shot id, or "original"
    # Measured before anyone looks at it, see bootstrap.catalog.scores:
    quality: Mapped[float | None]
    flaw: Mapped[str | None] = mapped_column(Text(16))
    closeness: Mapped[float | None]
    novelty: Mapped[float | None]
    agreement: Mapped[float | None]
    rank: Mapped[int] = mapped_column(default=0, server_default="0")  # place in the queue of its generation
    verdict: Mapped[Verdict] = mapped_column(_State(Verdict), default=Verdict.UNDECIDED)
    reviewer: Mapped[str] = mapped_column(Text(64), default="")
    # Of a reject, if one was given:
    reason: Mapped[str] = mapped_column(Text(80), default="", server_default="")
    decided_at: Mapped[datetime | None]
    caption: Mapped[str | None]  # as a reviewer wrote it; None: the prompt's tags
    # The browser that holds it, see bootstrap.catalog.hands:
    held_by: Mapped[str | None] = mapped_column(Text(36))
    held_until: Mapped[datetime | None]
    postponed_at: Mapped[datetime | None]  # put off until the others are decided
    created_at: Mapped[datetime] = mapped_column(default=now)

    generation: Mapped[GenerationRow] = relationship()


# The order of planning, whichever worker drew the candidates and when.
IN_TURN = (CandidateRow.generation_id, CandidateRow.turn, CandidateRow.id)


class SmallCopyRow(Table):
    """A curated candidate's pixels, to compare later ones with, even if its file is gone."""

    __tablename__ = "small_copy"

    candidate_id: Mapped[int] = mapped_column(
        ForeignKey("candidate.id", ondelete="CASCADE"), primary_key=True
    )
    pixels: Mapped[bytes]  # 32 x 32 x 3, RGB, see bootstrap.pictures.hashing.small_copy


class FeatureRow(Table):
    """An embedder's features of a candidate's picture; see bootstrap.curation.scoring."""

    __tablename__ = "feature"

    candidate_id: Mapped[int] = mapped_column(
        ForeignKey("candidate.id", ondelete="CASCADE"), primary_key=True
    )
    embedder: Mapped[str] = mapped_column(Text(80))  # vectors of different embedders cannot be compared
    vector: Mapped[bytes]  # float16


class KeptApartRow(Table):
    """Two pictures of a project that a person has marked as no duplicates, whatever they look like."""

    __tablename__ = "kept_apart"
    __table_args__ = (UniqueConstraint("project_id", "one", "other"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    one: Mapped[str] = mapped_column(Text(32))  # a shot id, or "original"; sorts before the other
    other: Mapped[str] = mapped_column(Text(32))
    reviewer: Mapped[str] = mapped_column(Text(64), default="")
    decided_at: Mapped[datetime] = mapped_column(default=now)


class VerdictRow(Table):
    """Every verdict ever given, in order; undo marks a verdict, and nothing is deleted."""

    __tablename__ = "verdict"
    __table_args__ = (Index("verdict_act", "act", "candidate_id", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(ForeignKey("candidate.id", ondelete="CASCADE"), index=True)
    verdict: Mapped[Verdict] = mapped_column(_State(Verdict))
    before: Mapped[Verdict] = mapped_column(_State(Verdict))
    reviewer: Mapped[str] = mapped_column(Text(64), default="")
    # Id of one press of a key or button: the same for all verdicts that the press gave, which are undone together. A
    # browser that does not know whether its press arrived sends it again; this id identifies the repetition.
    act: Mapped[str] = mapped_column(Text(36), default=lambda: str(uuid4()))
    # Of a reject, if one was given:
    reason: Mapped[str] = mapped_column(Text(80), default="", server_default="")
    decided_at: Mapped[datetime] = mapped_column(default=now)
    undone_at: Mapped[datetime | None]

    candidate: Mapped[CandidateRow] = relationship()


class PickRow(Table):
    """A pick that the dataset has."""

    __tablename__ = "pick"

    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(ForeignKey("candidate.id", ondelete="CASCADE"), unique=True)
    path: Mapped[str]  # relative to the project's folder
    caption: Mapped[str]
    added_at: Mapped[datetime] = mapped_column(default=now)

    candidate: Mapped[CandidateRow] = relationship()
