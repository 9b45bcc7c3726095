"""Both flows as deployments, served by one process: started by the app, by a person, or by the clock."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import typer

from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from flows import environment, events, leash, server
from flows.deadline import check as deadline_of_day
from flows.enough import MIN_PICKS

READY = "serving the flows"  # what `sid up` waits for in the log
SCHEDULE = "sid"  # the slug by which the next start finds the schedule again
_STOP_SECONDS = 30
_SWEEP_MINUTES = 10  # between two looks for reviewed projects of which no event told


@dataclass(frozen=True)
class Clock:
    """When the nightly flow runs."""

    cron: str
    timezone: str  # such as Europe/Berlin
    deadline: str | None = None  # time of day there, such as 07:00
    max_waiting: int = 0  # candidates that may wait for review when a project's next generation is run

    @property
    def options(self) -> list[str]:
        """The same on the command line of `sid serve`."""
        deadline = ["--deadline", self.deadline] if self.deadline else []
        waiting = ["--max-waiting", str(self.max_waiting)]
        return ["--cron", self.cron, "--timezone", self.timezone, *deadline, *waiting]


def clock(
    cron: str | None, timezone: str | None, deadline: str | None = None, max_waiting: int | None = None
) -> Clock | None:
    """Check what the command line says of the schedule; without a time zone it is this machine's.

    Raises:
        UserError: no cron string, time zone or time of day, or one of the others without a schedule.
    """
    if cron is None:
        given = {"--timezone": timezone, "--deadline": deadline, "--max-waiting": max_waiting}
        for name, value in given.items():
            if value is not None:
                raise UserError(f"{name}: it says nothing without --cron")
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
    return Clock(cron, zone, deadline_of_day(deadline) if deadline is not None else None, max_waiting or 0)


def enough_picks(min_picks: int | None, when: Clock | None, when_reviewed: bool) -> int:
    """Check what the command line says of the picks that are enough.

    Raises:
        UserError: it says how many, but nothing is begun by itself.
    """
    if min_picks is not None and when is None and not when_reviewed:
        raise UserError("--min-picks: it says nothing without --cron or --when-reviewed")
    return min_picks or MIN_PICKS


def _local_timezone() -> str:
    from tzlocal import get_localzone_name

    return get_localzone_name() or "UTC"


def serve(
    workspace: Workspace, when: Clock | None, when_reviewed: bool = False, min_picks: int = MIN_PICKS
) -> None:
    """Serve all deployments until the process is told to stop; one flow runs at a time.

    Raises:
        UserError: no Prefect server answers.
    """
    environment.prepare(workspace)
    server.named()
    os.environ[leash.PARENT] = str(os.getpid())
    asyncio.run(_serve(deployments(workspace, when, when_reviewed, min_picks), workspace, when))


async def _serve(served: list[Any], workspace: Workspace, when: Clock | None) -> None:
    from prefect.runner import Runner

    # A pause at shutdown would leave the schedule off for good when the machine is only restarted.
    runner = Runner(name="sid", limit=1, pause_on_shutdown=False)
    for deployment in served:
        identity = await runner.aadd_deployment(deployment)
        await forget_schedules(identity, deployment)
    stop = _stop_requests(runner)
    serving = asyncio.ensure_future(runner.start())
    typer.echo(f"{READY} of workspace {workspace.folder} through {os.environ['PREFECT_API_URL']}")
    typer.echo(told(when))
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        serving.result()  # raises what ended it
    elif runner.started and server.answers(os.environ["PREFECT_API_URL"]):
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await runner.astop()  # cancels the flow that runs, which says so in the catalog
                await serving
        except TimeoutError:
            _leave()
    else:
        _leave()


def _leave() -> None:
    # Without its server Prefect tries for minutes to tell it of the end. The flow that runs is on our leash:
    # it gets SIGTERM when we are gone, and marks its generation as cancelled.
    typer.echo("stopped without word to the Prefect server")
    sys.stdout.flush()
    os._exit(1)


def told(when: Clock | None) -> str:
    """Return in a line when the nightly flow runs."""
    return f"nightly: {when.cron} in {when.timezone}" if when else "nightly: not by --cron"


async def forget_schedules(identity: UUID, deployment: Any) -> None:
    """Take away the schedule that an earlier start has left; those that a person made in Prefect stay."""
    from prefect.client.orchestration import get_client

    if deployment.schedules:
        return  # the new one is in its place
    async with get_client() as client:
        for schedule in await client.read_deployment_schedules(identity):
            if schedule.slug == SCHEDULE:
                await client.delete_deployment_schedule(identity, schedule.id)


def _stop_requests(runner: Any) -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set.

    Prefect 3.8's own handler of SIGTERM does not await what it calls, and so leaves running flows behind.
    """
    told, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(told.set)

    runner.handle_sigterm = stop
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return told


def deployments(
    workspace: Workspace, when: Clock | None, when_reviewed: bool = False, min_picks: int = MIN_PICKS
) -> list[Any]:
    """Return the deployments `bootstrap/bootstrap`, `nightly/nightly` and `reviewed/reviewed` of a workspace."""
    from prefect.deployments.runner import EntrypointType
    from prefect.schedules import Cron

    from flows.bootstrap import bootstrap
    from flows.nightly import nightly
    from flows.reviewed import reviewed

    folder: dict[str, Any] = {"workspace": str(workspace.folder)}
    enough = {"min_picks": min_picks}
    # By its module, not its file: a file's folder would come first on sys.path, and there `bootstrap` is
    # a module of its own.
    by_module = EntrypointType.MODULE_PATH
    nights = [Cron(when.cron, timezone=when.timezone, slug=SCHEDULE)] if when else []
    sweeps, triggers = _after_reviews() if when_reviewed else ([], [])
    return [
        bootstrap.to_deployment("bootstrap", parameters=folder, entrypoint_type=by_module),
        nightly.to_deployment(
            "nightly", parameters=folder | enough | _limits(when), schedules=nights, entrypoint_type=by_module
        ),
        reviewed.to_deployment(
            "reviewed",
            parameters=folder | enough,
            schedules=sweeps,
            triggers=triggers,
            entrypoint_type=by_module,
        ),
    ]


def _after_reviews() -> tuple[list[Any], list[Any]]:
    """The schedule of the sweep, and the trigger that an event of a finished review fires."""
    from prefect.events import DeploymentEventTrigger
    from prefect.schedules import Interval

    trigger = DeploymentEventTrigger(
        name="sid: start the next generation when a review is finished",
        expect={events.REVIEW_FINISHED},
        match={"prefect.resource.id": f"{events.RESOURCE}.*"},
        parameters={"project": "{{ event.payload.project }}"},
    )
    return [Interval(timedelta(minutes=_SWEEP_MINUTES), slug=SCHEDULE)], [trigger]


def _limits(when: Clock | None) -> dict[str, Any]:
    if when is None:
        return {}
    return {"deadline": when.deadline, "timezone": when.timezone, "max_waiting": when.max_waiting}
