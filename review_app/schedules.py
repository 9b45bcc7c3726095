"""The nightly run, through Prefect's API: its schedules, its next run, and how the last ones ended.

Prefect stores all of it. The flow is known only by its deployment's name; nothing is imported from `flows`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel

from bootstrap import reading
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from bootstrap.serving.cron import checked
from review_app import prefect_runs
from review_app.prefect_runs import Run

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

DEPLOYMENT = "nightly/nightly"
SLUG = "app"  # the schedule that the app sets; `sid serve --cron` sets another
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_NIGHTLY_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")


@dataclass(frozen=True)
class Schedule:
    """One schedule of the nightly run."""

    id: UUID
    slug: str
    cron: str  # empty: the schedule is of another kind
    timezone: str
    active: bool
    deadline: str | None  # time of day, such as 07:00
    max_waiting: int
    min_picks: int

    @property
    def words(self) -> str:
        """When it runs, as text, such as `Every night at 01:00`."""
        nightly = _NIGHTLY_CRON.fullmatch(self.cron)
        if nightly is None:
            return self.cron or "At intervals, as set in Prefect"
        return f"Every night at {int(nightly[2]):02d}:{int(nightly[1]):02d}"


class _Row(BaseModel):
    """What a night did with one project; see flows.nightly.nightly."""

    project: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class Night:
    """How a nightly run ended."""

    run: Run
    rows: list[tuple[str, str, str]]  # project, outcome, why


@dataclass(frozen=True)
class Nights:
    """What Prefect knows about the nightly run."""

    is_served: bool  # a runner is ready to start runs that are due
    schedules: list[Schedule]
    next_run: datetime | None
    last: list[Night]  # the newest first
    min_picks: int  # for schedules that do not set it


def read(workspace: Workspace, count: int = 5) -> Nights:
    """Return the schedules, the next run, and how the last `count` runs ended.

    Raises:
        UserError: no Prefect server answers, or it does not serve this workspace.
    """
    with _deployment(workspace) as (api, deployment):
        schedules = [
            _schedule(schedule, deployment) for schedule in api.read_deployment_schedules(deployment.id)
        ]
        due = prefect_runs.of_deployment(api, deployment.id, ["SCHEDULED"], 100)
        ended = prefect_runs.of_deployment(api, deployment.id, _ENDED, count)
        # Prefect plans the runs of a new schedule within a minute; until then they are computed as Prefect does.
        upcoming = [run.due for run in due if run.due is not None] or [
            when for schedule in schedules if schedule.active and schedule.cron for when in _due(schedule)
        ]
        last = [Night(run, _rows(api, run)) for run in ended]
    ready = deployment.status is None or str(deployment.status.value) == "READY"
    return Nights(ready, schedules, min(upcoming, default=None), last, _min_picks(deployment.parameters))


def _due(schedule: Schedule) -> list[datetime]:
    """Return when a schedule comes due next; empty for one that was set elsewhere and that only Prefect understands."""
    try:
        return [next(CronSim(schedule.cron.upper(), datetime.now(ZoneInfo(schedule.timezone))))]
    except (CronSimError, StopIteration):
        return []


def check(cron: str, timezone: str) -> None:
    """Check a cron expression and a time zone.

    Raises:
        UserError: one of them is invalid.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    checked(cron, "cron")
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError:
        raise UserError(f"time zone '{timezone}': unknown; use a name such as Europe/Berlin") from None


def put(
    workspace: Workspace, cron: str, timezone: str, deadline: str | None, max_waiting: int, min_picks: int
) -> None:
    """Set the app's schedule, replacing the one that it has set before.

    Args:
        workspace: whose nightly run.
        cron: minute, hour, day, month, weekday.
        timezone: such as Europe/Berlin.
        deadline: time of day at which the nightly run stops, such as 07:00; None: no deadline.
        max_waiting: most undecided candidates with which a project's next generation still runs.
        min_picks: new picks needed for it; with fewer, more of the same generation is drawn.

    Raises:
        UserError: see check and read.
    """
    check(cron, timezone)
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    when = CronSchedule(cron=cron, timezone=timezone)
    limits = {
        "deadline": deadline, "timezone": timezone, "max_waiting": max_waiting, "min_picks": min_picks,
    }  # fmt: skip
    with _deployment(workspace) as (api, deployment):
        for existing in api.read_deployment_schedules(deployment.id):
            if existing.slug == SLUG:
                api.update_deployment_schedule(
                    deployment.id, existing.id, active=True, schedule=when, parameters=limits
                )
                return
        new = DeploymentScheduleCreate(schedule=when, active=True, parameters=limits, slug=SLUG)
        api.create_deployment_schedules(deployment.id, [new])


def set_active(workspace: Workspace, schedule: UUID, active: bool) -> None:
    """Pause or resume a schedule.

    Raises:
        UserError: see read.
    """
    with _deployment(workspace) as (api, deployment):
        api.update_deployment_schedule(deployment.id, schedule, active=active)


def remove(workspace: Workspace, schedule: UUID) -> None:
    """Remove a schedule.

    Raises:
        UserError: see read.
    """
    with _deployment(workspace) as (api, deployment):
        api.delete_deployment_schedule(deployment.id, schedule)


@contextmanager
def _deployment(workspace: Workspace) -> Iterator[tuple["SyncPrefectClient", Any]]:
    with prefect_runs.client() as api:
        from prefect.exceptions import ObjectNotFound

        try:
            deployment = api.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            raise UserError(
                f"Prefect at {prefect_runs.api_url()} does not know the flows yet: is "
                f"`{command('up')}` or `{command('serve')}` running?"
            ) from None
        served = deployment.parameters.get("workspace")
        if served != str(workspace.folder):
            raise UserError(
                f"Prefect at {prefect_runs.api_url()} serves another workspace, {served}; "
                f"start `{command('serve')}` for {workspace.folder}"
            )
        yield api, deployment


def _schedule(raw: Any, deployment: Any) -> Schedule:
    limits = {**deployment.parameters, **(raw.parameters or {})}
    cron = getattr(raw.schedule, "cron", "")  # in Prefect a person may have set a schedule of another kind
    zone = getattr(raw.schedule, "timezone", None) or "UTC"
    return Schedule(
        raw.id, raw.slug or "", cron, zone, bool(raw.active), limits.get("deadline"), limits.get("max_waiting") or 0,
        _min_picks(limits),
    )  # fmt: skip


def _min_picks(limits: dict[str, Any]) -> int:
    # Flows deployed by an older version lack this limit: one pick was enough.
    return int(limits.get("min_picks") or 1)


def _rows(api: "SyncPrefectClient", run: Run) -> list[tuple[str, str, str]]:
    """Return the table in the artifact of a nightly run: project, outcome, reason."""
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterKey,
        FlowRunFilter,
        FlowRunFilterId,
    )

    artifacts = api.read_artifacts(
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["nightly"])),
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])),
        limit=1,
    )
    if not artifacts or artifacts[0].type != "table":  # older versions wrote Markdown
        return []
    try:
        rows = reading.parse_json(str(artifacts[0].data), "the night's report", "")
        shown = reading.shaped(list[_Row], rows, "the night's report", "")
    except UserError:  # another version wrote it
        return []
    return [(row.project, row.outcome, row.detail) for row in shown]
