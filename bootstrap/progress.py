"""What a station tells of its progress, and to whom."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report: `done` of `total` units of `stage`, at `rate` units a second."""

    stage: str  # "train", "draw", "curate"
    done: int
    total: int
    unit: str  # "steps", "pictures"
    rate: float = 0.0  # units a second, 0 while unknown
    detail: str = ""  # such as "loss 0.0123"
    note: str = ""  # what is said once, on a line of its own

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate in seconds, None while the rate is unknown."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A Report that tells nobody."""
