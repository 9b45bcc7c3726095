"""What the doctor has found."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A problem that the doctor has found."""

    what: str
    remedy: str  # what to do, or what `repair` would do
    repair: Callable[[], str] | None = None  # carries out the remedy and returns a report of it
