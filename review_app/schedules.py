"""When the night runs, through Prefect's API: its schedules, its next run, how the last ones ended.

Nothing of it is kept here. The flow is known by its deployment's name only; nothing of `flows` is imported.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim

from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from review_app import prefect_runs
from review_app.prefect_runs import Run

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

DEPLOYMENT = "nightly/nightly"
SLUG = "app"  # the schedule that is made here; the one of `sid serve --cron` is another
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_NIGHTLY_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")


@dataclass(frozen=True)
class Schedule:
    """One schedule of the night."""

    id: UUID
    slug: str
    cron: str  # empty: it is of another kind
    timezone: str
    active: bool
    deadline: str | None  # time of day, such as 07:00
    max_waiting: int
    min_picks: int

    @property
    def words(self) -> str:
        """When it is, such as `Every night at 01:00`."""
        nightly = _NIGHTLY_CRON.fullmatch(self.cron)
        if nightly is None:
            return self.cron or "At intervals, as set in Prefect"
        return f"Every night at {int(nightly[2]):02d}:{int(nightly[1]):02d}"


@dataclass(frozen=True)
class Night:
    """How a night ended."""

    run: Run
    rows: list[tuple[str, str, str]]  # project, outcome, why


@dataclass(frozen=True)
class Nights:
    """All that Prefect tells of the night."""

    is_served: bool  # something takes runs when they are due
    schedules: list[Schedule]
    next_run: datetime | None
    last: list[Night]  # the newest first
    min_picks: int  # where a schedule says nothing of it


def read(workspace: Workspace, count: int = 5) -> Nights:
    """Return what there is of the night, and how the last `count` ones ended.

    Raises:
        UserError: no Prefect server answers, or it does not serve this workspace.
    """
    with _deployment(workspace) as (api, deployment):
        schedules = [_schedule(one, deployment) for one in api.read_deployment_schedules(deployment.id)]
        due = prefect_runs.of_deployment(api, deployment.id, ["SCHEDULED"], 100)
        ended = prefect_runs.of_deployment(api, deployment.id, _ENDED, count)
        # Prefect plans the runs of a new schedule within a minute; until then they are reckoned as it reckons them.
        upcoming = [one.due for one in due if one.due is not None] or [
            next(CronSim(one.cron, datetime.now(ZoneInfo(one.timezone))))
            for one in schedules
            if one.active and one.cron
        ]
        last = [Night(one, _rows(api, one)) for one in ended]
    ready = deployment.status is None or str(deployment.status.value) == "READY"
    return Nights(ready, schedules, min(upcoming, default=None), last, _min_picks(deployment.parameters))


def check(cron: str, timezone: str) -> None:
    """Check a cron text and a time zone.

    Raises:
        UserError: one of them is none.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        if error.errors()[0]["loc"][:1] == ("timezone",):
            raise UserError(f"time zone '{timezone}': unknown; write it as in Europe/Berlin") from None
        raise UserError(
            f"cron '{cron}': no schedule; give minute, hour, day, month and weekday as in 0 1 * * *"
        ) from None


def put(
    workspace: Workspace, cron: str, timezone: str, deadline: str | None, max_waiting: int, min_picks: int
) -> None:
    """Set the app's schedule, in place of the one that it has made before.

    Args:
        cron: minute, hour, day, month, weekday.
        timezone: such as Europe/Berlin.
        deadline: time of day at which the night's work stops, such as 07:00.
        max_waiting: candidates that may wait for review when a project's next generation is run.
        min_picks: new picks that are enough for it; with fewer, more of the same generation is drawn.

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
        for one in api.read_deployment_schedules(deployment.id):
            if one.slug == SLUG:
                api.update_deployment_schedule(
                    deployment.id, one.id, active=True, schedule=when, parameters=limits
                )
                return
        new = DeploymentScheduleCreate(schedule=when, active=True, parameters=limits, slug=SLUG)
        api.create_deployment_schedules(deployment.id, [new])


def set_active(workspace: Workspace, schedule: UUID, active: bool) -> None:
    """Pause a schedule, or let it go on.

    Raises:
        UserError: see read.
    """
    with _deployment(workspace) as (api, deployment):
        api.update_deployment_schedule(deployment.id, schedule, active=active)


def remove(workspace: Workspace, schedule: UUID) -> None:
    """Take a schedule away.

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
                f"Prefect at {prefect_runs.api_url()} does not know the flows yet: is `sid up` or `sid serve` running?"
            ) from None
        served = deployment.parameters.get("workspace")
        if served != str(workspace.folder):
            raise UserError(
                f"Prefect at {prefect_runs.api_url()} runs the nights of another workspace, {served}; "
                f"start `sid serve` for {workspace.folder}"
            )
        yield api, deployment


def _schedule(one: Any, deployment: Any) -> Schedule:
    limits = {**deployment.parameters, **(one.parameters or {})}
    cron = getattr(one.schedule, "cron", "")  # a person may have made one of another kind in Prefect
    zone = getattr(one.schedule, "timezone", None) or "UTC"
    return Schedule(
        one.id, one.slug or "", cron, zone, bool(one.active), limits.get("deadline"), limits.get("max_waiting") or 0,
        _min_picks(limits),
    )  # fmt: skip


def _min_picks(limits: dict[str, Any]) -> int:
    # Flows that an older version has deployed know no such limit: one pick was enough.
    return int(limits.get("min_picks") or 1)


def _rows(api: "SyncPrefectClient", run: Run) -> list[tuple[str, str, str]]:
    """The table of the artifact that a night leaves: project, outcome, why."""
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterKey,
        FlowRunFilter,
        FlowRunFilterId,
    )

    found = api.read_artifacts(
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["nightly"])),
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])),
        limit=1,
    )
    if not found or found[0].type != "table":  # older versions left Markdown
        return []
    return [(row["project"], row["outcome"], row["detail"]) for row in json.loads(str(found[0].data))]
