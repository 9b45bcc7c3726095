"""The stations of one generation in order, called by `sid run` as functions or by a flow as Prefect tasks.

Does not import Prefect, whose import and server would cost a foreground run seconds for nothing.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from bootstrap.catalog import Catalog, Unavailable
from bootstrap.errors import MachineError, reason_of
from bootstrap.loop import generation as loop
from bootstrap.project import running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from flows import console
from flows.deadline import DeadlineReached, stopping

AT_DEADLINE = "cancelled at the deadline; the next run resumes here"
PAUSES = (2.0, 60.0)  # seconds before each retry after an error that may be temporary

_log = logging.getLogger(__name__)

# Errors that may be gone on the next try: a full disk, a failure of a shared folder, memory that others held.
_TEMPORARY_ERRNOS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EAGAIN", "EBUSY", "ENOMEM", "ESTALE", "ETIMEDOUT")
    if hasattr(errno, name)  # Windows has no quotas
}
_TEMPORARY_CLASSES = {
    "OutOfMemoryError",
    "WorkerCrashedError",
    "NodeDiedError",
    "CrashedRun",
}  # all but the first concern Ray's workers

Station = Callable[[str, str, int, float | None], None]
Draw = Callable[[str, str, int, float | None, bool], None]


@dataclass(frozen=True)
class Stations:
    """How to call the stations; each saves its results, so that a retry does only the rest."""

    train: Station
    draw: Draw
    curate: Station
    publish: Callable[[str, str, int], dict[str, Any]]
    # Called with the project and the generation's number before the first station.
    on_start: Callable[[str, int], None] | None = None
    # Keeps other runs off the project and the GPU while it is open; None: no other run needs to be kept off.
    held: Callable[[str, float | None], AbstractContextManager[None]] | None = None


def run_generation(
    workspace: str, project: str, until: float | None, stations: Stations, more: bool = False
) -> dict[str, Any]:
    """Run one generation of a project, or what is missing from it, and record in the catalog how it ends.

    Args:
        workspace: folder of the catalog and the projects.
        until: when to stop, in seconds since 1970; finished work is kept.
        more: if the candidates that the recipes ask for exist, draw that number again with other seeds.

    Returns:
        The fields of `bootstrap.loop.generation.Summary`: project, number, drawn, duplicates, published, sheet.

    Raises:
        UserError: a setting or file is wrong, or another process is working on this project.
        DeadlineReached: `until` has come.
        KeyboardInterrupt: Ctrl-C; the generation is cancelled, and the next run resumes it.
    """
    with open_project(workspace, project) as (opened, catalog), running.exclusively(opened):
        generation = loop.prepare(opened, catalog)
        number = generation.number
        if stations.on_start:
            stations.on_start(project, number)
        with (
            loop.ending_recorded(generation, {DeadlineReached: AT_DEADLINE}),
            stations.held(project, until) if stations.held else nullcontext(),
        ):
            stations.train(workspace, project, number, until)
            stations.draw(workspace, project, number, until, more)
            stations.curate(workspace, project, number, until)
            return stations.publish(workspace, project, number)


def train(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Train the generation's LoRA."""
    with open_generation(workspace, project, number) as generation:
        loop.train(generation, stopping(console.report, until))


def draw_in_process(workspace: str, project: str, number: int, until: float | None, more: bool) -> None:
    """Draw all candidates in this process."""
    with open_generation(workspace, project, number) as generation:
        loop.draw(generation, stopping(console.report, until), more)


def curate(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Mark the duplicates."""
    with open_generation(workspace, project, number) as generation:
        loop.curate(generation, stopping(console.report, until))


def publish(workspace: str, project: str, number: int) -> dict[str, Any]:
    """Put the candidates up for review, and return the generation's summary."""
    with open_generation(workspace, project, number) as generation:
        summary = asdict(loop.publish(generation))
    return {**summary, "sheet": str(summary["sheet"])}


def without_prefect() -> Stations:
    """Return the stations as plain functions, with the same retries as the Prefect tasks."""
    return Stations(
        _with_retries(train), _with_retries(draw_in_process), _with_retries(curate), _with_retries(publish)
    )


def _with_retries(station: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        for pause in PAUSES:
            try:
                return station(*arguments)
            except Exception as error:
                if not can_pass(error):
                    raise
                _log.warning("%s; retrying in %.0f s", reason_of(error), pause)
                time.sleep(pause)
        return station(*arguments)

    return call


def can_pass(error: object) -> bool:
    """Return whether a retry may succeed: after a lack of memory or disk or a busy catalog, not a wrong setting."""
    if isinstance(error, MachineError):  # such as a catalog that cannot be opened
        return can_pass(error.__cause__)
    if isinstance(error, MemoryError | Unavailable):
        return True
    if isinstance(error, OSError):
        return error.errno in _TEMPORARY_ERRNOS
    # torch's class is recognised by name, because importing torch takes seconds. Training reports a lack of memory as
    # the user's mistake, which it may be; but other processes may also have held the memory.
    kinds = {type(error).__name__, type(getattr(error, "__cause__", None)).__name__}
    return bool(kinds & _TEMPORARY_CLASSES) or "can't allocate memory" in str(error)


@contextmanager
def open_project(workspace: str, project: str) -> Iterator[tuple[Project, Catalog]]:
    """Yield a project with its catalog."""
    opened = Workspace.locate(workspace).project(project)
    with closing(opened.workspace.open_catalog()) as catalog:
        yield opened, catalog


@contextmanager
def open_generation(workspace: str, project: str, number: int) -> Iterator[Generation]:
    """Yield a generation with its catalog."""
    with open_project(workspace, project) as (opened, catalog):
        yield Generation(opened, catalog, number)
