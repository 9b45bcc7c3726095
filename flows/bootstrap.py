"""The flow of one generation: train, draw, curate, publish; it ends when candidates are up for review.

A thin layer over `bootstrap.loop.generation`, whose stations do only what is missing. All results are on disk, so
another run finishes what a killed run has begun. Tasks pass ids and paths, never pictures.
"""

import os
import signal
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from prefect import flow, task
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled

from bootstrap.loop.generation import STOPPED
from flows import console, drawing, leash, limits, one_generation, reports
from flows.deadline import DeadlineReached
from flows.one_generation import AT_DEADLINE, Stations
from flows.run_log import run_log
from flows.stations import STATION

train = task(**STATION)(one_generation.train)
curate = task(**STATION)(one_generation.curate)
publish = task(**STATION)(one_generation.publish)


def _log_start(project: str, number: int) -> None:
    run_log().info("project '%s': generation %d", project, number)


def progress_in_log() -> AbstractContextManager[None]:
    """Write the stations' progress to the log of the flow run, unless a terminal shows it."""
    if console.is_shown():
        return nullcontext()
    return console.progress_logged(run_log().info)


@flow(name="bootstrap", flow_run_name="{project}", validate_parameters=True)
def bootstrap(workspace: str, project: str, until: float | None = None, more: bool = False) -> dict[str, Any]:
    """Run one generation of a project, or what is missing from it.

    Args:
        workspace: folder of the catalog and the projects.
        project: name of the project.
        until: when to stop, in seconds since 1970; finished work is kept.
        more: if the candidates that the recipes ask for exist, draw that number again with other seeds.

    Returns:
        The fields of `bootstrap.loop.generation.Summary`: project, number, drawn, duplicates, published, sheet.

    Raises:
        UserError: a setting or file is wrong, or another process is working on this project.
    """
    leash.end_with_server_of_flows()
    stations = Stations(train, drawing.draw_in_shards, curate, publish, _log_start, limits.held)
    try:
        with progress_in_log():
            summary = one_generation.run_generation(workspace, project, until, stations, more)
    except DeadlineReached:
        return Cancelled(message=AT_DEADLINE)  # type: ignore[return-value]
    # Any other TerminationSignal is Prefect's: it knows whether the run was cancelled or its machine is shutting down.
    except KeyboardInterrupt:
        return Cancelled(message=STOPPED)  # type: ignore[return-value]  # Prefect accepts a state as the result
    except TerminationSignal:
        if leash.is_torn():
            # The server has most likely gone with it, and Prefect would try for minutes to report the end to it. The
            # catalog knows it already.
            os._exit(128 + signal.SIGTERM)
        raise
    reports.report_generation(summary)
    return summary
