"""The verbs in real processes: signals, and a real Prefect server on loopback."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from bootstrap.catalog import Catalog, generations
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from bootstrap.serving import http, own_server
from flows.server import free_port
from review_app import prefect_runs, schedules
from tests.flows.conftest import processes_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def state(catalog: Catalog, project: Project) -> str:
    return generations.statuses(catalog, project.name)[-1].state


def test_a_killed_run_leaves_nothing_behind_and_the_next_one_goes_on(
    project: Project, catalog: Catalog, sid: Callable[..., Any], all_gone: Callable[[float], bool]
) -> None:
    (project.folder / "fake-seconds").write_text("300")
    killed = sid("run", "demo")
    killed.wait_for("train: 1/20")
    checking, begins, *_ = killed.output.splitlines()
    assert checking == "project 'demo': checking its settings and files"
    assert begins == "generation 1 begins: train, draw, curate; Ctrl-C stops it and keeps what is finished"
    assert state(catalog, project) == "training" and running.is_running(project)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert all_gone(30), "a process outlived its parent"
    assert not running.is_running(project)

    (project.folder / "fake-seconds").unlink()
    (project.folder / "fake-fail").write_text("draw:OSError:28")  # the disk is full once, and then it is not
    (project.folder / "fake-once").touch()
    whole = sid("run", "demo")
    assert whole.end() == 0
    assert (
        "the disk is full; free some space and run it again, finished work is kept; retrying" in whole.output
    )
    assert not (
        project.workspace.folder / ".prefect"
    ).exists()  # Prefect's import and server would cost seconds
    assert "generation 1 of 'demo': 4 candidates (4 drawn, 0 duplicates)" in whole.output
    assert whole.output.splitlines()[-1] == "next: sid up  (4 undecided)"
    assert state(catalog, project) == "published"
    assert all_gone(5)


class Api:
    """The Prefect server's API over plain HTTP."""

    def __init__(self, url: str, login: str) -> None:
        self.url = url
        self._headers = {"Content-Type": "application/json", **http.authorization(login, None)}

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, self._headers)
        for _ in range(10):
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                time.sleep(1)  # on a busy machine its database is locked; Prefect's own client retries too
        raise AssertionError(f"{path}: the server stayed unavailable")

    def run(self, deployment: str, **parameters: str) -> dict[str, Any]:
        """Run a deployment, and return its flow run after the end."""
        deployment_id = self.ask(f"deployments/name/{deployment}")["id"]
        order = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
        started = self.ask(f"deployments/{deployment_id}/create_flow_run", order)
        deadline = time.monotonic() + 180
        while (run := self.ask(f"flow_runs/{started['id']}"))["state_type"] not in _FINAL:
            assert time.monotonic() < deadline, run
            time.sleep(0.3)
        return dict(run)


def test_up_starts_everything_and_ends_it(
    new_project: Callable[[str], Project],
    catalog: Catalog,
    sid: Callable[..., Any],
    all_gone: Callable[[float], bool],
) -> None:
    good, bad = new_project("good"), new_project("bad")
    (good.folder / "fake-fail").write_text("draw:OSError:28")  # the disk is full once, and then it is not
    (good.folder / "fake-once").touch()
    (bad.folder / "fake-fail").write_text("draw:ValueError:oops")
    port = free_port()

    up = sid("up", "--port", str(port), "--cron", "0 1 * * *", "--timezone", "Europe/Berlin")
    up.wait_for("Ctrl-C stops everything")
    login = own_server.login(good.workspace.folder)
    api = Api(up.output.partition("Prefect: ")[2].split()[0] + "/api", login)
    clocks = api.ask("deployments/name/nightly/nightly")["schedules"]
    assert [
        (clock["schedule"]["cron"], clock["schedule"]["timezone"], clock["active"]) for clock in clocks
    ] == [("0 1 * * *", "Europe/Berlin", True)]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10) as response:
        assert response.status == 200

    night = api.run("nightly/nightly")
    assert night["state_type"] == "FAILED" and "1 of 2 projects failed: bad" in night["state"]["message"]
    ends = {run["name"]: run["state_type"] for run in api.ask("flow_runs/filter", {})}
    assert (ends["good"], ends["bad"]) == ("COMPLETED", "FAILED")
    assert (state(catalog, good), state(catalog, bad)) == ("published", "failed")

    (bad.folder / "fake-fail").unlink()
    assert api.run("bootstrap/bootstrap", project="bad")["state_type"] == "COMPLETED"
    assert state(catalog, bad) == "published"
    artifacts = {artifact["key"]: artifact["data"] for artifact in api.ask("artifacts/latest/filter", {})}
    assert "| 4 | 0 | 4 |" in artifacts["generation-good"]
    assert {"project": "bad", "outcome": "failed", "detail": "ValueError: oops"} in json.loads(
        artifacts["nightly"]
    )
    with pytest.MonkeyPatch.context() as patch:  # the app shows the same
        patch.setenv("PREFECT_API_URL", api.url)
        patch.setenv("SID_WORKSPACE", str(good.workspace.folder))  # where the login is
        [night_page] = schedules.read(good.workspace).last
        soon(lambda: "train: 20/20 steps, loss " in log_in_the_app(bad))
        assert "flow run" not in log_in_the_app(bad)  # nothing of Prefect's own states and processes
    assert ("bad", "failed", "ValueError: oops") in night_page.rows
    assert {project: outcome for project, outcome, _ in night_page.rows} == {"bad": "failed", "good": "done"}

    run_is_stopped_and_refused(sid, api.url, bad, catalog)
    a_second_one_is_refused(sid, port)
    what_dies_is_started_again(up, api, port, good, catalog)

    assert up.end(signal.SIGTERM) == 0
    assert up.output.splitlines()[-1] == "stopping ..."
    assert all_gone(5)


def a_second_one_is_refused(sid: Callable[..., Any], port: int) -> None:
    second = sid("up", "--port", str(free_port()))
    assert second.end() == 2
    [line] = second.output.splitlines()
    assert f"another `sid up` serves it, with the app on http://localhost:{port}; use that one" in line


def what_dies_is_started_again(up: Any, api: Api, port: int, project: Project, catalog: Catalog) -> None:
    """The app, the server and the served flows, the latter at work."""
    workspace = project.workspace
    [app] = started(workspace, "review --port")
    os.kill(app, signal.SIGKILL)
    up.wait_for("the review app was killed by signal 9; started again in 1 s (log: ")
    up.wait_for("running again: the review app")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10) as response:
        assert response.status == 200

    (project.folder / "fake-seconds").write_text("300")
    deployment = api.ask("deployments/name/bootstrap/bootstrap")["id"]
    order = {"state": {"type": "SCHEDULED"}, "parameters": {"project": project.name}}
    first = api.ask(f"deployments/{deployment}/create_flow_run", order)["id"]
    soon(lambda: state(catalog, project) == "training")

    [server] = started(workspace, "flows.prefect_server")
    os.kill(server, signal.SIGKILL)
    up.wait_for("running again: the Prefect server")
    assert api.ask(f"flow_runs/{first}")["state_type"] == "RUNNING"  # it goes on
    assert state(catalog, project) == "training"

    (project.folder / "fake-seconds").unlink()
    [flows] = started(workspace, "serve --cron")
    os.kill(flows, signal.SIGKILL)
    up.wait_for("the served flows was killed by signal 9")
    up.wait_for("running again: the served flows")
    served = (workspace.folder / "logs" / "flows.log").read_text()
    assert "started again, because its process had ended: good" in served
    assert api.ask(f"flow_runs/{first}")["state_type"] in ("CRASHED", "CANCELLED")
    # The slot of a run that was killed is free again after a minute.
    soon(lambda: state(catalog, project) == "published", 240)


def log_in_the_app(project: Project) -> str:
    run = prefect_runs.of_project(project)
    return prefect_runs.log(run) if run else ""


def started(workspace: Workspace, words: str) -> list[int]:
    """Return the ids of the processes of `sid` whose command line has these words."""
    return [pid for pid, command in processes_of(workspace).items() if words in command]


def soon(is_so: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def run_is_stopped_and_refused(
    sid: Callable[..., Any], server: str, project: Project, catalog: Catalog
) -> None:
    """If PREFECT_API_URL names a server, a foreground run uses it."""
    (project.folder / "fake-seconds").write_text("300")
    stopped = sid("run", project.name, server=server)
    stopped.wait_for("train: 1/20")
    assert stopped.end(signal.SIGINT) == 130
    assert stopped.output.splitlines()[-3:] == [
        "kept of generation 1: 0 of 6 epochs of its training, 4 candidates",
        f"to go on: sid run {project.name}",
        "sid: stopped",
    ]
    assert state(catalog, project) == "cancelled"

    (project.folder / "fake-seconds").unlink()
    (project.folder / "fake-fail").write_text("curate:UserError:recipe 'add': 'hat' is odd")
    wrong = sid("run", project.name, server=server)
    assert wrong.end() == 2
    errors = [line for line in wrong.output.splitlines() if line.startswith("sid: ")]
    assert errors == ["sid: recipe 'add': 'hat' is odd"]
    assert state(catalog, project) == "failed"
