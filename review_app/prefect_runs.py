"""Flow runs through Prefect's API: find the one that works on a project, read its log, cancel it."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

from bootstrap import reading
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from bootstrap.serving import http, own_server
from review_app.workspace import workspace

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

FLOW = "bootstrap"
_LOGIN = "PREFECT_API_AUTH_STRING"
_SECONDS = 5  # timeout of a request
_QUICK_SECONDS = 3  # timeout of a request that a page waits for
_ALIVE = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")
_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}


@dataclass(frozen=True)
class Run:
    """A flow run."""

    id: UUID
    state: str  # Prefect's type, such as RUNNING
    outcome: str  # Prefect's name of the state, such as Completed
    message: str
    due: datetime | None  # when it was scheduled to start
    started: datetime | None
    seconds: float  # run time so far
    is_served: bool  # a runner started it, and can stop it; otherwise it runs in somebody's terminal
    parent_task: UUID | None  # the task of the nightly run that started it

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in _ALIVE


@dataclass(frozen=True)
class Waiting:
    """A run that has not begun."""

    project: str
    due: datetime | None

    @property
    def is_late(self) -> bool:
        """Whether its time has come, so that it waits for its turn."""
        return self.due is not None and self.due <= datetime.now(UTC)


class _Row(BaseModel):
    """What `waiting` reads of a flow run."""

    parameters: dict[str, Any] = {}
    expected_start_time: str | None = None


def api_url() -> str:
    """Return the URL of Prefect's API, empty if PREFECT_API_URL is not set."""
    return (os.environ.get("PREFECT_API_URL") or "").rstrip("/")


def credentials() -> tuple[str | None, str | None]:
    """Return the login `user:password` and the API key for Prefect, of which it takes the first.

    The login is the user's own, else that of the workspace's own server if $PREFECT_API_URL is its address.
    """
    login = os.environ.get(_LOGIN) or own_server.login_for(workspace().folder, api_url())
    return login, os.environ.get("PREFECT_API_KEY")


def ask(path: str) -> Any:
    """Return the JSON from a GET of this path of the API, or None without an answer within three seconds.

    For pages that refresh every few seconds: it neither imports Prefect, which takes a second, nor retries.
    """
    return http.get_json(f"{api_url()}/{path}", http.authorization(*credentials()), _QUICK_SECONDS)


def waiting(most: int = 50) -> list[Waiting]:
    """Return the runs of this workspace's projects that have not begun, the next one first; none without an answer.

    Args:
        most: how many at most.
    """
    body = {
        "flows": {"name": {"any_": [FLOW]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": most,
    }
    rows = http.post_json(
        f"{api_url()}/flow_runs/filter", body, http.authorization(*credentials()), _QUICK_SECONDS
    )
    try:
        found = reading.shaped(list[_Row], rows, "Prefect's answer", "") if rows else []
    except UserError:  # of another version
        return []
    here = str(workspace().folder)
    return [
        Waiting(str(row.parameters.get("project", "")), _moment(row.expected_start_time))
        for row in found
        if row.parameters.get("workspace") == here
    ]


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


@contextmanager
def client() -> Iterator["SyncPrefectClient"]:
    """Yield a client of the API.

    Raises:
        UserError: PREFECT_API_URL is not set, or the server does not answer.
    """
    if not api_url():
        raise UserError(
            f"no Prefect server is set: start everything with `{command('up')}`, or set PREFECT_API_URL"
        )
    os.environ.setdefault("DO_NOT_TRACK", "1")
    import httpx
    from prefect.client.orchestration import SyncPrefectClient  # takes a second to import, so only here

    login, key = credentials()
    try:
        with SyncPrefectClient(
            api_url(), auth_string=login, api_key=key, httpx_settings={"timeout": _SECONDS}
        ) as opened:
            yield opened
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.UNAUTHORIZED:
            raise _unanswered(error) from None
        raise UserError(
            f"the Prefect server at {api_url()} wants a login: set {_LOGIN}; that of a server which `sid up` started "
            f"is in the file {own_server.LOGIN_FILE} of its workspace"
        ) from None
    except (httpx.HTTPError, RuntimeError) as error:
        raise _unanswered(error) from None


def _unanswered(error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    return UserError(f"the Prefect server at {api_url()} does not answer ({reason.splitlines()[0]})")


def of_project(project: Project, limit: int = 100) -> Run | None:
    """Return the project's latest run, whether started or waiting to start; None if Prefect knows none.

    Args:
        project: whose run.
        limit: how many runs of all projects to search, the newest first.

    Raises:
        UserError: see client.
    """
    with client() as api:
        from prefect.client.schemas.filters import FlowFilter, FlowFilterName
        from prefect.client.schemas.sorting import FlowRunSort

        flow_runs = api.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=limit,
        )
    wanted = {"workspace": str(project.workspace.folder), "project": project.name}
    return next((_run(run) for run in flow_runs if wanted.items() <= run.parameters.items()), None)


def _run(run: Any) -> Run:
    state = run.state
    return Run(
        id=run.id,
        state=state.type.value if state else "",
        outcome=state.name if state else "",
        message=(state.message or "") if state else "",
        due=run.expected_start_time,
        started=run.start_time,
        seconds=run.total_run_time.total_seconds(),
        is_served=run.deployment_id is not None,
        parent_task=run.parent_task_run_id,
    )


def of_deployment(api: "SyncPrefectClient", deployment: UUID, states: Sequence[str], limit: int) -> list[Run]:
    """Return runs of a deployment whose state has one of these types, the newest first."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    flow_runs = api.read_flow_runs(
        flow_run_filter=filters.FlowRunFilter(
            deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]),
            state=filters.FlowRunFilterState(
                type=filters.FlowRunFilterStateType(any_=[StateType(state) for state in states])
            ),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=limit,
    )
    return [_run(run) for run in flow_runs]


def cancel(run: Run) -> None:
    """Cancel a run; its runner stops it cleanly within seconds. If a nightly run started it, all of that run ends.

    Raises:
        UserError: the run is in somebody's terminal, where only Ctrl-C reaches it; or see client.
    """
    with client() as api:
        from prefect.client.schemas.objects import StateType
        from prefect.states import State

        target = run.id
        if run.parent_task is not None:
            night = api.read_task_run(run.parent_task).flow_run_id
            target = night if night is not None else target
        elif not run.is_served:
            raise UserError("this run was started in a terminal; stop it there with Ctrl-C")
        api.set_flow_run_state(target, State(type=StateType.CANCELLING))


def log(run: Run, lines: int = 200) -> str:
    """Return the end of a run's log, one line per entry: time, level, message.

    Of Prefect's own lines (its states and processes) only warnings and errors are in it.

    Raises:
        UserError: see client.
    """
    with client() as api:
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
        from prefect.client.schemas.sorting import LogSort

        entries = api.read_logs(
            LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])), limit=200, sort=LogSort.TIMESTAMP_DESC
        )
    ours = [
        entry
        for entry in entries
        if entry.level >= logging.WARNING or entry.name.split(".")[-1] == own_server.LOG_NAME
    ]
    return "\n".join(
        f"{entry.timestamp.astimezone():%H:%M:%S}  {_LEVELS.get(entry.level, str(entry.level)):<7}  {entry.message}"
        for entry in reversed(ours[:lines])
    )
