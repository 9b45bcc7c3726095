"""One generation in the foreground: `sid run`, and the first half of `sid demo`."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from rich.console import Console

from bootstrap.catalog import Catalog, generations, trainings
from bootstrap.cli.common import say
from bootstrap.errors import UserError
from bootstrap.loop import generation, work_left
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from flows import cluster, console, environment, one_generation, server
from flows.signals import sigterm_as_ctrl_c


def run_in_foreground(project: Project, more: bool = False) -> dict[str, Any] | None:
    """Run one generation in this process, show its progress on the console, and return its summary.

    Returns None if nothing is missing.

    If $PREFECT_API_URL names a Prefect server, the run is a flow, and that server's limits keep it apart from other
    runs. Otherwise no other run needs to be kept apart, and the stations are called without Prefect; only for a Ray
    cluster, which needs Prefect, this function starts a server for the duration of the call.

    Args:
        more: if the candidates that the recipes ask for exist, draw that number again with other seeds.

    Raises:
        UserError: before any work: a setting or file is wrong, or another process is working on the project.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the generation is cancelled, and the next run resumes it.
    """
    with sigterm_as_ctrl_c():
        begins = check(project, more)
    if begins is None:
        return None
    say(f"{begins}: train, draw, curate; Ctrl-C stops it and keeps what is finished")
    with sigterm_as_ctrl_c(), console.progress_shown(Console()):
        if "PREFECT_API_URL" in os.environ or cluster.is_named():
            return _as_flow(project, more)
        stations = one_generation.without_prefect()
        return one_generation.run_generation(
            str(project.workspace.folder), project.name, None, stations, more
        )


def check(project: Project, more: bool = False) -> str | None:
    """Check everything that can be checked before the run; return what the run will do, None if it would do nothing.

    Raises:
        UserError: something is wrong, named in one line.
    """
    project.settings_and_base  # noqa: B018  # a wrong setting is reported before the catalog is touched
    with closing(project.workspace.open_catalog()) as catalog, running.exclusively(project):
        if not more and _nothing_is_missing(project, catalog):
            return None
        before = generations.latest(catalog, project.name) or 0
        number = generation.prepare(project, catalog).number
        return f"generation {number} {'goes on' if number == before else 'begins'}"


def _nothing_is_missing(project: Project, catalog: Catalog) -> bool:
    try:
        return work_left.nothing_is_missing(project, catalog)
    except UserError:  # the check after it says what is wrong, or the run downloads what is not there yet
        return False


def kept(project: Project) -> str:
    """Return in one line what a stopped run leaves to the next one."""
    with closing(project.workspace.open_catalog()) as catalog:
        statuses = generations.statuses(catalog, project.name)
        if not statuses:
            return "nothing was begun"
        last = statuses[-1]
        training = trainings.of_generation(catalog, project.name, last.number)
    snapshots = len(training.snapshots) if training else 0
    epochs = project.settings.training.epochs
    return (
        f"kept of generation {last.number}: {snapshots} of {epochs} epochs of its training, "
        f"{last.candidates} candidates"
    )


def _as_flow(project: Project, more: bool) -> dict[str, Any]:
    environment.prepare(project.workspace)
    with _server(project.workspace) as started:
        from prefect.exceptions import CancelledRun

        from flows import limits
        from flows.bootstrap import bootstrap

        _quiet_console()
        if started is not None:
            started.wait()
        with limits.without_limits() if started is not None else nullcontext():
            try:
                return bootstrap(workspace=str(project.workspace.folder), project=project.name, more=more)
            except (CancelledRun, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            finally:
                _flush_prefect()


@contextmanager
def _server(workspace: Workspace) -> Iterator[server.Server | None]:
    url = os.environ.get("PREFECT_API_URL")
    if url is not None:
        if not server.answers(url):
            raise UserError(
                f"PREFECT_API_URL={url}: no Prefect server answers there; start it, or unset the variable"
            )
        server.require_login(url)
        yield None
        return
    started = server.Server(workspace, schedules=False)
    before = {name: os.environ.get(name) for name in started.variables}
    os.environ.update(started.variables)
    try:
        yield started
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        started.stop()


def _flush_prefect() -> None:
    """Send the events and logs that Prefect's background threads still hold, before the server stops."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=5)
    APILogWorker.drain_all(timeout=5)


def _quiet_console() -> None:
    """Keep Prefect's log off the console, which shows progress bars; failures reach the caller as exceptions.

    The server still gets the log, and a user who sets PREFECT_LOGGING_LEVEL sees it on the console too.
    """
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        return
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.name.startswith("prefect"))
