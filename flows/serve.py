"""The flows as deployments, served by one process; the app, a person or a schedule starts them."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from bootstrap.cli.common import say
from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from bootstrap.serving.cron import checked
from flows import environment, events, leash, server
from flows.deadline import checked_time_of_day
from flows.enough import MIN_PICKS

READY = "serving the flows"  # `sid up` waits for this text in the log
# When its predecessor died, set by `sid up` for the process that follows it: what that one left is started again.
# Otherwise another machine may be at work on it.
START_AGAIN = "SID_START_AGAIN"
SCHEDULE = "sid"  # the slug by which the next start recognises its own schedule
_STOP_SECONDS = 30
_SWEEP_MINUTES = 10  # between two sweeps for reviewed projects whose event was lost


@dataclass(frozen=True)
class Clock:
    """When the nightly flow runs."""

    cron: str
    timezone: str  # such as Europe/Berlin
    deadline: str | None = None  # time of day there, such as 07:00
    max_waiting: int = 0  # number of candidates that may still wait for review when the next generation runs

    @property
    def options(self) -> list[str]:
        """Return the schedule as options of `sid serve`."""
        deadline = ["--deadline", self.deadline] if self.deadline else []
        waiting = ["--max-waiting", str(self.max_waiting)]
        return ["--cron", self.cron, "--timezone", self.timezone, *deadline, *waiting]


def clock(
    cron: str | None, timezone: str | None, deadline: str | None = None, max_waiting: int | None = None
) -> Clock | None:
    """Return the schedule of the command line, None without --cron; the default time zone is this machine's.

    Raises:
        UserError: a malformed cron string, time zone or time of day, or another option without --cron.
    """
    if cron is None:
        options = {"--timezone": timezone, "--deadline": deadline, "--max-waiting": max_waiting}
        for name, value in options.items():
            if value is not None:
                raise UserError(f"{name}: it has no effect without --cron; add --cron, or leave it out")
        return None
    zone = timezone or _local_timezone()
    checked(cron, "--cron")
    # Not Prefect's own check: Prefect must not be imported before its environment is set.
    if zone not in available_timezones():
        raise UserError(f"--timezone {zone}: unknown; write it as in Europe/Berlin")
    return Clock(
        cron, zone, checked_time_of_day(deadline) if deadline is not None else None, max_waiting or 0
    )


def enough_picks(min_picks: int | None, when: Clock | None, when_reviewed: bool) -> int:
    """Return how many new picks suffice for the next generation, from the command line.

    Raises:
        UserError: --min-picks is set, but no option starts generations automatically.
    """
    if min_picks is not None and when is None and not when_reviewed:
        raise UserError(
            "--min-picks: it has no effect without --cron or --when-reviewed; add one of them, or leave it out"
        )
    return min_picks or MIN_PICKS


def _local_timezone() -> str:
    from tzlocal import get_localzone_name

    return get_localzone_name() or "UTC"


def serve(
    workspace: Workspace, when: Clock | None, when_reviewed: bool = False, min_picks: int = MIN_PICKS
) -> None:
    """Serve all deployments until Ctrl-C or SIGTERM; one flow runs at a time.

    Raises:
        UserError: no Prefect server answers.
    """
    started_by = os.getppid()
    environment.prepare(workspace)
    server.require_named_server(workspace)
    os.environ[leash.PARENT] = str(os.getpid())
    to_serve = deployments(workspace, when, when_reviewed, min_picks)
    asyncio.run(_serve(to_serve, workspace, when, started_by))


async def _serve(to_serve: list[Any], workspace: Workspace, when: Clock | None, started_by: int) -> None:
    from prefect.runner import Runner

    from flows import orphans

    # A pause at shutdown would leave the schedule off for good after a mere restart of the machine.
    runner = Runner(name="sid", limit=1, pause_on_shutdown=False)
    ids = []
    for deployment in to_serve:
        ids.append(await runner.aadd_deployment(deployment))
        await remove_old_schedule(ids[-1], deployment)
    died = os.environ.pop(START_AGAIN, None)
    if died:
        for name in await orphans.start_again(ids, datetime.fromisoformat(died)):
            say(f"started again, because its process had ended: {name}")
    stop = _stop_requests(runner)
    serving = asyncio.ensure_future(runner.start())
    say(f"{READY} of workspace {workspace.folder} through {os.environ['PREFECT_API_URL']}")
    say(schedule_line(when))
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        serving.result()  # raises the error that ended it
    elif await _has_ended(started_by):  # `sid up` was killed, and its server is ending, too
        _exit_without_server()
    elif runner.started and server.answers(os.environ["PREFECT_API_URL"]):
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await runner.astop()  # cancels the running flow, which records that in the catalog
                await serving
        except TimeoutError:
            _exit_without_server()
    else:
        _exit_without_server()


async def _has_ended(parent: int) -> bool:
    # The signal that tells of the parent's end may arrive a moment before the end.
    for _ in range(5):
        if os.getppid() != parent:
            return True
        await asyncio.sleep(0.1)
    return False


def _exit_without_server() -> None:
    # Without a server, Prefect would try for minutes to report the end. The running flow is tied to this process (see
    # leash.py): it gets SIGTERM when this process ends, and marks its generation as cancelled.
    say("stopped without reporting it to the Prefect server")
    sys.stdout.flush()
    os._exit(1)


def schedule_line(when: Clock | None) -> str:
    """Return one line that says when the nightly flow runs."""
    return f"nightly: {when.cron} in {when.timezone}" if when else "nightly: not by --cron"


async def remove_old_schedule(deployment_id: UUID, deployment: Any) -> None:
    """Remove the schedule that an earlier start has left; schedules that a person made in Prefect stay."""
    from prefect.client.orchestration import get_client

    if deployment.schedules:
        return  # the new schedule has replaced the old one
    async with get_client() as client:
        for schedule in await client.read_deployment_schedules(deployment_id):
            if schedule.slug == SCHEDULE:
                await client.delete_deployment_schedule(deployment_id, schedule.id)


def _stop_requests(runner: Any) -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set.

    Prefect 3.8's own SIGTERM handler does not await the coroutine it calls, and so leaves flows running.
    """
    stop_requested, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(stop_requested.set)

    runner.handle_sigterm = stop
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return stop_requested


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
    # The entry point is a module, not a file: a file's folder would come first on sys.path, and that folder has another
    # module named `bootstrap`.
    by_module = EntrypointType.MODULE_PATH
    nights = [Cron(when.cron, timezone=when.timezone, slug=SCHEDULE)] if when else []
    sweeps, triggers = _review_triggers() if when_reviewed else ([], [])
    return [
        bootstrap.to_deployment("bootstrap", parameters=folder, entrypoint_type=by_module),
        nightly.to_deployment(
            "nightly",
            parameters=folder | enough | _limit_parameters(when),
            schedules=nights,
            entrypoint_type=by_module,
        ),
        reviewed.to_deployment(
            "reviewed",
            parameters=folder | enough,
            schedules=sweeps,
            triggers=triggers,
            entrypoint_type=by_module,
        ),
    ]


def _review_triggers() -> tuple[list[Any], list[Any]]:
    """Return the schedule of the sweep, and the trigger that the event of a finished review fires."""
    from prefect.events import DeploymentEventTrigger
    from prefect.schedules import Interval

    trigger = DeploymentEventTrigger(
        name="sid: start the next generation when a review is finished",
        expect={events.REVIEW_FINISHED},
        match={"prefect.resource.id": f"{events.RESOURCE}.*"},
        parameters={"project": "{{ event.payload.project }}"},
    )
    return [Interval(timedelta(minutes=_SWEEP_MINUTES), slug=SCHEDULE)], [trigger]


def _limit_parameters(when: Clock | None) -> dict[str, Any]:
    if when is None:
        return {}
    return {"deadline": when.deadline, "timezone": when.timezone, "max_waiting": when.max_waiting}
