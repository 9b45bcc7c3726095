"""The progress reports of a station, and the type of their receivers."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report: `done` of `total` units of `stage`, at `rate` units per second."""

    stage: str  # "train", "draw", "curate"
    done: int
    total: int
    unit: str  # "steps", "pictures"
    rate: float = 0.0  # units per second, 0 while unknown
    detail: str = ""  # such as "loss 0.0123"
    loss: float | None = None  # of the last step, if it was one of a training
    note: str = ""  # a message to print once, on a line of its own

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the current rate, None while the rate is unknown."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Discard a progress report."""
