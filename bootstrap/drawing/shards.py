"""Shards: parts of a generation's drawing. One worker draws a shard; a lost worker's shard alone is retried."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bootstrap.shots import Shot

# At most, per shard: few enough that a lost worker's shard is cheap to redraw, enough that its overhead is small.
BATCHES_PER_SHARD = 8
_PER_WORKER = 3  # shards at least, so that every worker has work until the end


@dataclass(frozen=True)
class Planned:
    """A shot to draw."""

    turn: int  # its place among all shots of its generation
    shot: Shot


@dataclass(frozen=True)
class DrawingPlan:
    """What a generation's recipes ask for."""

    missing: list[Planned]  # in drawing order, so that a resumed run keeps the order
    total: int  # with the shots already drawn

    @property
    def done(self) -> int:
        """How many shots are already drawn."""
        return self.total - len(self.missing)


@dataclass(frozen=True)
class Shard:
    """Some shots of a generation."""

    number: int  # from 1, for messages
    planned: list[Planned]
    before: int  # pictures drawn already, and those of the shards before
    total: int  # pictures of the generation

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, texts and numbers, to be sent to another process."""
        planned = [{"turn": entry.turn, "shot": entry.shot.to_dict()} for entry in self.planned]
        return {**asdict(self), "planned": planned}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Shard":
        """Return the shard from the result of to_dict."""
        planned = [Planned(entry["turn"], Shot.from_dict(entry["shot"])) for entry in data["planned"]]
        return cls(**{**data, "planned": planned})


def split(plan: DrawingPlan, batch_size: int, workers: int) -> list[Shard]:
    """Divide the missing shots into shards of whole batches, in drawing order.

    Args:
        batch_size: pictures per batch.
        workers: number of workers that draw at the same time.
    """
    count = len(plan.missing)
    fair = -(-count // (workers * _PER_WORKER)) if workers > 1 else count
    size = min(BATCHES_PER_SHARD, max(1, -(-fair // batch_size))) * batch_size
    parts: list[Sequence[Planned]] = [plan.missing[first : first + size] for first in range(0, count, size)]
    return [
        Shard(index + 1, list(part), plan.done + index * size, plan.total) for index, part in enumerate(parts)
    ]
