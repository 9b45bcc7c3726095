"""The flow of one generation: train, draw, curate, publish; it ends when there are candidates to review.

Thin over `bootstrap.loop.generation`, whose stations do what is still missing; so a run holds nothing that the
next one needs, and a killed run is finished by starting another. Tasks pass ids and paths, never pictures.
"""

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.states import Cancelled

from bootstrap.loop.generation import STOPPED
from flows import drawing, leash, limits, one_generation, reports
from flows.deadline import DeadlineReached
from flows.one_generation import AT_DEADLINE, Stations
from flows.stations import STATION

train = task(**STATION)(one_generation.train)
curate = task(**STATION)(one_generation.curate)
publish = task(**STATION)(one_generation.publish)


def _begins(project: str, number: int) -> None:
    get_run_logger().info("project '%s': generation %d", project, number)


@flow(name="bootstrap", flow_run_name="{project}", validate_parameters=True)
def bootstrap(workspace: str, project: str, until: float | None = None, more: bool = False) -> dict[str, Any]:
    """Run one generation of a project, or what is missing of it.

    Args:
        workspace: folder of the catalog and the projects.
        project: name of the project.
        until: when to stop, in seconds since 1970; what is done by then is kept.
        more: draw as many candidates as the recipes ask for once more, where those are there.

    Returns:
        The fields of `bootstrap.loop.generation.Summary`: project, number, drawn, duplicates, published, sheet.

    Raises:
        UserError: a setting or file is wrong, or another process works on this project.
    """
    leash.end_with_server_of_flows()
    stations = Stations(train, drawing.draw, curate, publish, _begins, limits.held)
    try:
        summary = one_generation.run(workspace, project, until, stations, more)
    except DeadlineReached:
        return Cancelled(message=AT_DEADLINE)  # type: ignore[return-value]
    except (
        KeyboardInterrupt
    ):  # a TerminationSignal goes on: Prefect knows if it was cancelled or its machine goes down
        return Cancelled(message=STOPPED)  # type: ignore[return-value]  # Prefect takes a state for the result
    reports.generation(summary)
    return summary
