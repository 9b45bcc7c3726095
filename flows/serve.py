"""Both flows as deployments, served by one process: started by the app, by a person, or by the clock."""

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import typer

from bootstrap.errors import UserError
from bootstrap.project import Workspace
from flows import environment, server

READY = "serving the flows"  # what `sid up` waits for in the log
_USUAL_URL = f"http://127.0.0.1:{server.USUAL_PORT}/api"


@dataclass(frozen=True)
class Clock:
    """When the nightly flow runs."""

    cron: str
    timezone: str  # such as Europe/Berlin


def clock(cron: str | None, timezone: str | None) -> Clock | None:
    """Check what the command line says of the schedule; without a time zone it is this machine's.

    Raises:
        UserError: no cron string, no time zone, or a time zone for no schedule.
    """
    if cron is None:
        if timezone is not None:
            raise UserError("--timezone: it says nothing without --cron")
        return None
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    zone = timezone or _local_timezone()
    try:
        CronSchedule(cron=cron, timezone=zone)
    except ValidationError as error:
        if error.errors()[0]["loc"][:1] == ("timezone",):
            raise UserError(f"--timezone {zone}: unknown; write it as in Europe/Berlin") from None
        raise UserError(
            f"--cron '{cron}': no cron schedule; give minute, hour, day, month and weekday as in '0 1 * * *'"
        ) from None
    return Clock(cron, zone)


def _local_timezone() -> str:
    from tzlocal import get_localzone_name

    return get_localzone_name() or "UTC"


def serve(workspace: Workspace, when: Clock | None) -> None:
    """Serve both deployments until the process is told to stop; one flow runs at a time.

    Raises:
        UserError: no Prefect server answers.
    """
    environment.prepare(workspace)
    url = os.environ.setdefault("PREFECT_API_URL", _USUAL_URL)
    if not server.answers(url):
        raise UserError(
            f"no Prefect server answers at {url}: start one with `prefect server start` and name it in "
            "PREFECT_API_URL, or start everything with `sid up`"
        )
    from prefect.runner import Runner

    # A pause at shutdown would leave the schedule off for good when the machine is only restarted.
    runner = Runner(name="sid", limit=1, pause_on_shutdown=False)
    for deployment in deployments(workspace, when):
        runner.add_deployment(deployment)
    typer.echo(f"{READY} for workspace {workspace.folder} through {url}; Ctrl-C stops it")
    typer.echo(f"nightly: {when.cron} in {when.timezone}" if when else "nightly: only when started by hand")
    try:
        asyncio.run(runner.start())
    except KeyboardInterrupt:
        typer.echo("stopped")


def deployments(workspace: Workspace, when: Clock | None) -> list[Any]:
    """Return the deployments `bootstrap/bootstrap` and `nightly/nightly` of a workspace."""
    from prefect.deployments.runner import EntrypointType
    from prefect.schedules import Cron

    from flows.bootstrap import bootstrap
    from flows.nightly import nightly

    folder = {"workspace": str(workspace.folder)}
    # By its module, not its file: a file's folder would come first on sys.path, and there `bootstrap` is
    # a module of its own.
    by_module = EntrypointType.MODULE_PATH
    schedules = [Cron(when.cron, timezone=when.timezone, slug="nightly")] if when else []
    return [
        bootstrap.to_deployment("bootstrap", parameters=folder, entrypoint_type=by_module),
        nightly.to_deployment("nightly", parameters=folder, schedules=schedules, entrypoint_type=by_module),
    ]
