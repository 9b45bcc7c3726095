"""The stations of one generation in their order, whoever calls them: `sid run` plainly, or a flow as Prefect's tasks.

Knows nothing of Prefect, whose import and server cost seconds that a run in the foreground has no use for.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from bootstrap.catalog import Catalog, Unavailable
from bootstrap.errors import reason_of
from bootstrap.loop import generation as loop
from bootstrap.project import running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from flows import console
from flows.deadline import DeadlineReached, stopping

AT_DEADLINE = "stopped at the deadline; the next run resumes here"
PAUSES = (2.0, 60.0)  # seconds before what may pass is tried again

_log = logging.getLogger(__name__)

# What may be gone on the next try: a full disk, a hiccup of a shared folder, memory that others held.
_PASSING = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EAGAIN", "EBUSY", "ENOMEM", "ESTALE", "ETIMEDOUT")
    if hasattr(errno, name)  # Windows has no quotas
}
_LOST = {
    "OutOfMemoryError",
    "WorkerCrashedError",
    "NodeDiedError",
    "CrashedRun",
}  # the last ones tell of Ray's workers

Station = Callable[[str, str, int, float | None], None]
Draw = Callable[[str, str, int, float | None, bool], None]


@dataclass(frozen=True)
class Stations:
    """How the stations are called; each keeps what it has made, so that another try does only the rest."""

    train: Station
    draw: Draw
    curate: Station
    publish: Callable[[str, str, int], dict[str, Any]]
    # Told of the project and the generation's number before the first station.
    begins: Callable[[str, int], None] | None = None
    # Keeps others off the project and the GPU while it is open; None: nobody else is there.
    held: Callable[[str, float | None], AbstractContextManager[None]] | None = None


def run(
    workspace: str, project: str, until: float | None, stations: Stations, more: bool = False
) -> dict[str, Any]:
    """Do one generation of a project, or what is missing of it, and tell the catalog how it ends.

    Args:
        workspace: folder of the catalog and the projects.
        until: when to stop, in seconds since 1970; what is done by then is kept.
        more: draw as many candidates as the recipes ask for once more, where those are there.

    Returns:
        The fields of `bootstrap.loop.generation.Summary`: project, number, drawn, duplicates, published, sheet.

    Raises:
        UserError: a setting or file is wrong, or another process works on this project.
        DeadlineReached: it is `until`.
        KeyboardInterrupt: Ctrl-C; the generation is cancelled, and goes on with the next run.
    """
    with opened(workspace, project) as (found, catalog), running.exclusively(found):
        generation = loop.prepare(found, catalog)
        number = generation.number
        if stations.begins:
            stations.begins(project, number)
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
    with opened_generation(workspace, project, number) as generation:
        loop.train(generation, stopping(console.report, until))


def draw(workspace: str, project: str, number: int, until: float | None, more: bool) -> None:
    """Draw the candidates, all in this process."""
    with opened_generation(workspace, project, number) as generation:
        loop.draw(generation, stopping(console.report, until), more)


def curate(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Mark the duplicates."""
    with opened_generation(workspace, project, number) as generation:
        loop.curate(generation, stopping(console.report, until))


def publish(workspace: str, project: str, number: int) -> dict[str, Any]:
    """Show the candidates to the reviewer, and return what the generation brought."""
    with opened_generation(workspace, project, number) as generation:
        summary = asdict(loop.publish(generation))
    return {**summary, "sheet": str(summary["sheet"])}


def plainly() -> Stations:
    """Return the stations called one after the other, and tried again as Prefect's tasks are."""
    return Stations(_patient(train), _patient(draw), _patient(curate), _patient(publish))


def _patient(station: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        for pause in PAUSES:
            try:
                return station(*arguments)
            except Exception as error:
                if not can_pass(error):
                    raise
                _log.warning("%s; it is tried again in %.0f s", reason_of(error), pause)
                time.sleep(pause)
        return station(*arguments)

    return call


def can_pass(error: object) -> bool:
    """Whether another try may go well: memory or disk ran out, the catalog was busy; not a wrong setting."""
    if isinstance(error, MemoryError | Unavailable):
        return True
    if isinstance(error, OSError):
        return error.errno in _PASSING
    # torch's own class, by name: this module must not cost the seconds that importing torch takes. Training
    # tells it as the user's mistake, which it may be; but the memory may also have been held by others.
    kinds = {type(error).__name__, type(getattr(error, "__cause__", None)).__name__}
    return bool(kinds & _LOST) or "can't allocate memory" in str(error)


@contextmanager
def opened(workspace: str, project: str) -> Iterator[tuple[Project, Catalog]]:
    """Yield a project with its catalog."""
    found = Workspace.locate(workspace).project(project)
    with closing(Catalog(found.workspace.catalog_url)) as catalog:
        yield found, catalog


@contextmanager
def opened_generation(workspace: str, project: str, number: int) -> Iterator[Generation]:
    """Yield a generation with its catalog."""
    with opened(workspace, project) as (found, catalog):
        yield Generation(found, catalog, number)
