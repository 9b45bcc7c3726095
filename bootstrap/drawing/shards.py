"""Shards: parts of a generation's drawing, each done by one worker, retried for itself when the worker is lost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bootstrap.shots import Shot

# In a shard at most: what a lost worker has to do again is small, and so is what a shard costs besides.
BATCHES_PER_SHARD = 8
_PER_WORKER = 3  # shards at least, so that all have something to do until the end


@dataclass(frozen=True)
class Planned:
    """A shot that is to be drawn."""

    turn: int  # among all of its generation
    shot: Shot


@dataclass(frozen=True)
class DrawingPlan:
    """What a generation's recipes ask for."""

    missing: list[Planned]  # in drawing order, so that a resumed run goes on as begun
    total: int  # with those that are there

    @property
    def done(self) -> int:
        """How many are there."""
        return self.total - len(self.missing)


@dataclass(frozen=True)
class Shard:
    """Some shots of a generation."""

    number: int  # from 1, for people
    planned: list[Planned]
    before: int  # pictures that are there, or in the shards before
    total: int  # pictures of the generation

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, texts and numbers, as they go to another process."""
        planned = [{"turn": one.turn, "shot": one.shot.to_dict()} for one in self.planned]
        return {**asdict(self), "planned": planned}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Shard":
        """Read back what to_dict gave."""
        planned = [Planned(one["turn"], Shot.from_dict(one["shot"])) for one in data["planned"]]
        return cls(**{**data, "planned": planned})


def split(plan: DrawingPlan, batch_size: int, workers: int) -> list[Shard]:
    """Divide what is missing into shards of whole batches, in drawing order.

    Args:
        batch_size: pictures that are drawn at once.
        workers: how many draw at the same time.
    """
    count = len(plan.missing)
    fair = -(-count // (workers * _PER_WORKER)) if workers > 1 else count
    size = min(BATCHES_PER_SHARD, max(1, -(-fair // batch_size))) * batch_size
    parts: list[Sequence[Planned]] = [plan.missing[first : first + size] for first in range(0, count, size)]
    return [
        Shard(index + 1, list(part), plan.done + index * size, plan.total) for index, part in enumerate(parts)
    ]
