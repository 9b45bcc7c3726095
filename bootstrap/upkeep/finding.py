"""What the doctor finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """A problem that the doctor has found."""

    what: str
    remedy: str  # what to do, or what `repair` would do
    repair: Callable[[], str] | None = None  # carries out the remedy and returns a report of it


def named(paths: Sequence[Path], folder: Path) -> str:
    """Return the first path inside a folder, and how many more there are."""
    first = paths[0].relative_to(folder) if paths[0].is_relative_to(folder) else paths[0]
    return first.as_posix() + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
