"""The flow of one generation: train, draw, curate, publish; it ends when there are candidates to review.

Thin over `bootstrap.generation`, whose stations do what is still missing; so a run holds nothing that the
next one needs, and a killed run is finished by starting another. Tasks pass ids and paths, never pictures.
"""

from dataclasses import asdict
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled

from bootstrap import generation
from bootstrap.catalog import generations
from bootstrap.errors import UserError
from bootstrap.leases import LeaseLost
from flows import console, drawing, leash, limits, reports
from flows.deadline import DeadlineReached, stopping
from flows.stations import STATION, opened

STOPPED = "stopped; starting it again goes on from here"
AT_DEADLINE = "stopped at the deadline; starting it again goes on from here"


@task(**STATION)
def train(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Train the generation's LoRA."""
    with opened(workspace, project) as (found, catalog):
        generation.train(found, catalog, number, stopping(console.report, until))


@task(**STATION)
def curate(workspace: str, project: str, number: int, until: float | None = None) -> None:
    """Mark the duplicates."""
    with opened(workspace, project) as (found, catalog):
        generation.curate(found, catalog, number, stopping(console.report, until))


@task(**STATION)
def publish(workspace: str, project: str, number: int) -> dict[str, Any]:
    """Show the candidates to the reviewer, and return what the generation brought."""
    with opened(workspace, project) as (found, catalog):
        summary = asdict(generation.publish(found, catalog, number))
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
    with opened(workspace, project) as (found, catalog), generation.exclusively(found):
        number = generation.prepare(found, catalog)
        get_run_logger().info("project '%s': generation %d", project, number)
        try:
            with limits.held(project, until):
                train(workspace, project, number, until)
                drawing.draw(workspace, project, number, until)
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
        except LeaseLost:
            raise  # the generation is in the other run's hands
        except Exception as error:
            generations.set_state(catalog, project, number, "failed", one_line(error))
            raise
    reports.generation(summary)
    return summary


def one_line(error: Exception) -> str:
    """Return what went wrong, as a line for the catalog and the reports."""
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
