"""The flow of one generation: train, draw, curate, publish; it ends when there are candidates to review.

Thin over `bootstrap.generation`, whose stations do what is still missing; so a run holds nothing that the
next one needs, and a killed run is finished by starting another. Tasks pass ids and paths, never pictures.
"""

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled
from prefect.tasks import Task
from sqlalchemy.exc import OperationalError

from bootstrap import generation
from bootstrap.catalog import Catalog, generations
from bootstrap.errors import UserError
from bootstrap.project import Project, Workspace
from flows import console, leash, reports
from flows.deadline import DeadlineReached, stopping

STOPPED = "stopped; starting it again goes on from here"
AT_DEADLINE = "stopped at the deadline; starting it again goes on from here"

# What may be gone on the next try: a full disk, a hiccup of a shared folder, memory that others held.
_PASSING = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EAGAIN", "EBUSY", "ENOMEM", "ESTALE", "ETIMEDOUT")
    if hasattr(errno, name)  # Windows has no quotas
}


def can_pass(error: object) -> bool:
    """Whether another try may go well: memory or disk ran out, the catalog was busy; not a wrong setting."""
    if isinstance(error, MemoryError | OperationalError):
        return True
    if isinstance(error, OSError):
        return error.errno in _PASSING
    # torch's own class, by name: this module must not cost the seconds that importing torch takes. Training
    # tells it as the user's mistake, which it may be; but the memory may also have been held by others.
    kinds = {type(error).__name__, type(getattr(error, "__cause__", None)).__name__}
    return "OutOfMemoryError" in kinds or "can't allocate memory" in str(error)


def _retry(_: "Task[..., Any]", __: TaskRun, state: "State[Any]") -> bool:
    return can_pass(state.data)


# A station keeps what it has made, so another try does only the rest. Nothing is cached by Prefect: what a
# generation has is in the catalog.
_station: dict[str, Any] = {
    "cache_policy": NO_CACHE, "retries": 2, "retry_delay_seconds": [2, 60], "retry_condition_fn": _retry
}  # fmt: skip


@task(**_station)
def train(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Train the generation's LoRA."""
    with _opened(workspace, project) as (opened, catalog):
        generation.train(opened, catalog, number, stopping(console.report, until))


@task(**_station)
def draw(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Draw the candidates."""
    with _opened(workspace, project) as (opened, catalog):
        generation.draw(opened, catalog, number, stopping(console.report, until))


@task(**_station)
def curate(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Mark the duplicates."""
    with _opened(workspace, project) as (opened, catalog):
        generation.curate(opened, catalog, number, stopping(console.report, until))


@task(**_station)
def publish(workspace: str, project: str, number: int) -> dict[str, Any]:
    """Show the candidates to the reviewer, and return what the generation brought."""
    with _opened(workspace, project) as (opened, catalog):
        summary = asdict(generation.publish(opened, catalog, number))
    return {**summary, "sheet": str(summary["sheet"])}


@flow(name="bootstrap", flow_run_name="{project}", validate_parameters=True)
def bootstrap(workspace: str, project: str, until: float | None = None) -> dict[str, Any]:
    """Run one generation of a project, or what is missing of it.

    Args:
        workspace: folder of the catalog and the projects.
        project: name of the project.
        until: when to stop, in seconds since 1970; what is done by then is kept.

    Returns:
        The fields of `bootstrap.generation.Summary`: project, number, drawn, duplicates, published, sheet.

    Raises:
        UserError: a setting or file is wrong, or another process works on this project.
    """
    leash.end_with_server_of_flows()
    with _opened(workspace, project) as (opened, catalog), generation.exclusively(opened):
        number = generation.prepare(opened, catalog)
        get_run_logger().info("project '%s': generation %d", project, number)
        try:
            train(workspace, project, number, until)
            draw(workspace, project, number, until)
            curate(workspace, project, number, until)
            summary = publish(workspace, project, number)
        except DeadlineReached:
            generations.set_state(catalog, project, number, "cancelled", AT_DEADLINE)
            return Cancelled(message=AT_DEADLINE)  # type: ignore[return-value]
        except KeyboardInterrupt:
            generations.set_state(catalog, project, number, "cancelled", STOPPED)
            return Cancelled(message=STOPPED)  # type: ignore[return-value]  # Prefect takes a state for the result
        except TerminationSignal:
            generations.set_state(catalog, project, number, "cancelled", STOPPED)
            raise  # Prefect knows whether it was cancelled or its machine is going down
        except Exception as error:
            generations.set_state(catalog, project, number, "failed", one_line(error))
            raise
    reports.generation(summary)
    return summary


@contextmanager
def _opened(workspace: str, project: str) -> Iterator[tuple[Project, Catalog]]:
    found = Workspace.locate(workspace).project(project)
    with closing(Catalog(found.workspace.catalog_url)) as catalog:
        yield found, catalog


def one_line(error: Exception) -> str:
    """Return what went wrong, as a line for the catalog and the reports."""
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
