"""One generation in the foreground: `sid run`, and the first half of `sid demo`."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from rich.console import Console

from bootstrap.catalog import Catalog
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from flows import cluster, console, environment, one_generation, server
from flows.signals import sigterm_as_ctrl_c


def run(project: Project, more: bool = False) -> dict[str, Any]:
    """Run one generation here, its progress on the console, and return its summary.

    Where $PREFECT_API_URL names a Prefect server it is a flow, which that server's limits keep apart from others.
    Without, nobody else is there, and the stations are called plainly; for a Ray cluster, which is driven through
    Prefect, we start a server for the time of this call.

    Args:
        more: draw as many candidates as the recipes ask for once more, where those are there.

    Raises:
        UserError: a setting or file is wrong, or the project is being worked on; told before anything starts.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the generation is cancelled, and goes on with the next run.
    """
    check(project)
    with sigterm_as_ctrl_c(), console.shown(Console()):
        if "PREFECT_API_URL" in os.environ or cluster.is_named():
            return _as_flow(project, more)
        stations = one_generation.plainly()
        return one_generation.run(str(project.workspace.folder), project.name, None, stations, more)


def check(project: Project) -> None:
    """Check everything that can be checked before the work.

    Raises:
        UserError: one line that names what is wrong.
    """
    project.settings_and_base  # noqa: B018  # a wrong setting is told before the catalog is touched
    with closing(Catalog(project.workspace.catalog_url)) as catalog, running.exclusively(project):
        generation.prepare(project, catalog)


def _as_flow(project: Project, more: bool) -> dict[str, Any]:
    environment.prepare(project.workspace)
    with _server(project.workspace) as started:
        from prefect.exceptions import CancelledRun

        from flows import limits
        from flows.bootstrap import bootstrap

        _quiet_console()
        if started is not None:
            started.wait()
        with limits.alone() if started is not None else nullcontext():
            try:
                return bootstrap(workspace=str(project.workspace.folder), project=project.name, more=more)
            except (CancelledRun, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            finally:
                _hand_over()


@contextmanager
def _server(workspace: Workspace) -> Iterator[server.Server | None]:
    given = os.environ.get("PREFECT_API_URL")
    if given is not None:
        if not server.answers(given):
            raise UserError(
                f"PREFECT_API_URL={given}: no Prefect server answers there; start it, or unset the variable"
            )
        yield None
        return
    started = server.Server(workspace, schedules=False)
    os.environ["PREFECT_API_URL"] = started.url
    try:
        yield started
    finally:
        del os.environ["PREFECT_API_URL"]
        started.stop()


def _hand_over() -> None:
    """Send what Prefect's background threads still hold, before the server stops."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=5)
    APILogWorker.drain_all(timeout=5)


def _quiet_console() -> None:
    """Keep Prefect's log off the console, where the bars are: a failure reaches the caller as an exception.

    The server gets the log all the same, and whoever sets PREFECT_LOGGING_LEVEL wants to see it.
    """
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        return
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.name.startswith("prefect"))
