"""A Prefect server shared by several machines: a work pool with two workers, limits, schedules, events, a restart.

The tests share one server and one workspace, and depend on their order.
"""

import http.server as http_server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bootstrap.catalog import Catalog, generations, verdicts
from bootstrap.catalog.candidates import candidates
from bootstrap.catalog.states import Verdict
from bootstrap.project import projects
from bootstrap.project.projects import Project, Workspace
from bootstrap.project.running import is_running
from bootstrap.serving import http
from flows import environment
from flows.server import Server
from tests.flows.conftest import Sid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]
_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_PATIENCE = 300  # seconds; a busy machine takes half a minute to start a flow


def until(happens: Callable[[], Any], what: str = "it never happened") -> Any:
    """Call the function until its result is truthy, and return that."""
    deadline = time.monotonic() + _PATIENCE
    while not (result := happens()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return result


class House:
    """A workspace, its Prefect server, and the processes that were started."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace.locate(folder / "workspace")
        self.workspace.folder.mkdir()
        self._picture = folder / "picture.png"
        Image.effect_noise((128, 128), 80).convert("RGB").save(self._picture)
        self.server = Server(self.workspace, schedules=True)
        self.server.wait()
        self.catalog = Catalog(self.workspace.catalog_url)
        self.started: list[Sid] = []

    def project(self, name: str, seconds: float = 0.2) -> Project:
        made = projects.create(self.workspace, name, self._picture, "woman, red apple, teal wall")
        self.takes(made, seconds)
        return made

    def takes(self, project: Project, seconds: float) -> None:
        (project.folder / "fake-seconds").write_text(str(seconds))

    def sid(self, *arguments: str) -> Sid:
        self.started.append(Sid(self.workspace, arguments, self.server.url))
        return self.started[-1]

    def end(self, command: Sid) -> None:
        self.started.remove(command)
        command.end(signal.SIGTERM)

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **http.authorization(self.server.login, None)}
        request = urllib.request.Request(f"{self.server.url}/{path}", data, headers, method=method)

        def answered() -> list[Any]:
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    return [json.loads(response.read() or "null")]
            except urllib.error.HTTPError as error:
                if error.code == 503:  # its database is busy
                    return []
                raise

        return until(answered)[0]

    def begin(self, deployment: str, **parameters: str) -> str:
        """Ask for a run of a deployment and return its id."""
        deployment_id = self.ask(f"deployments/name/{deployment}")["id"]
        order = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
        return str(self.ask(f"deployments/{deployment_id}/create_flow_run", order)["id"])

    def run(self, identity: str) -> dict[str, Any]:
        return dict(self.ask(f"flow_runs/{identity}"))

    def end_of(self, identity: str) -> dict[str, Any]:
        until(lambda: self.run(identity)["state_type"] in _FINAL, f"run {identity} does not end")
        return self.run(identity)

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        deployment_id = self.ask(f"deployments/name/{deployment}")["id"]
        return list(self.ask("flow_runs/filter", {"deployments": {"id": {"any_": [deployment_id]}}}))

    def state(self, project: Project) -> str:
        statuses = generations.statuses(self.catalog, project.name)
        return statuses[-1].state if statuses else ""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The house, its flows deployed on the work pool `gpu`."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("house")
        for name, value in {
            "PREFECT_HOME": str(folder / "workspace" / ".prefect"),
            **environment.ALWAYS,
        }.items():
            patch.setenv(name, value)
        made = House(folder)
        try:
            deployed = made.sid("deploy", "--work-pool", "gpu", "--cron", "0 1 * * *")
            assert deployed.end() == 0, deployed.output
            made.started.remove(deployed)
            yield made
        finally:
            for command in made.started:
                command.end(signal.SIGTERM)
            made.server.stop()
            made.catalog.close()


def test_two_workers_share_a_pool_and_never_a_gpu(house: House) -> None:
    """Also cancel a running flow, and pause and resume the pool."""
    workers = [house.sid("worker", "--work-pool", "gpu") for _ in range(2)]
    first_project, second_project = house.project("one", 300), house.project("other", 1)
    first = house.begin("bootstrap/bootstrap", project="one")
    until(lambda: house.state(first_project) == "training")
    second = house.begin("bootstrap/bootstrap", project="other")
    until(lambda: house.run(second)["state_type"] == "RUNNING")
    limits = {limit["name"]: limit["active_slots"] for limit in house.ask("v2/concurrency_limits/filter", {})}
    assert limits[f"sid-gpu-{socket.gethostname()}-0"] == limits["sid-project-one"] == 1
    time.sleep(2)  # the second would have begun by now if it could
    assert house.state(second_project) == "waiting" and house.state(first_project) == "training"

    house.ask(f"flow_runs/{first}/set_state", {"state": {"type": "CANCELLING"}})
    assert house.end_of(first)["state_type"] == "CANCELLED"
    assert house.state(first_project) == "cancelled"
    assert house.end_of(second)["state_type"] == "COMPLETED"
    assert house.state(second_project) == "published"

    house.ask("work_pools/gpu", {"is_paused": True}, "PATCH")
    house.takes(first_project, 0.2)
    again = house.begin("bootstrap/bootstrap", project="one")
    time.sleep(8)  # more than the 5 s after which a worker polls again
    assert house.run(again)["state_type"] == "SCHEDULED"
    house.ask("work_pools/gpu", {"is_paused": False}, "PATCH")
    assert house.end_of(again)["state_type"] == "COMPLETED"
    assert house.state(first_project) == "published"
    house.end(workers[1])


def test_missed_nights_are_made_up_for_once(house: House) -> None:
    house.ask("work_pools/gpu", {"is_paused": True}, "PATCH")  # the machine is asleep
    nightly = house.ask("deployments/name/nightly/nightly")["id"]
    often = {"schedule": {"interval": 3.0}, "active": True}
    made = house.ask(f"deployments/{nightly}/schedules", [often])[0]["id"]

    def late() -> list[str]:
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        return [run["id"] for run in house.runs("nightly/nightly") if run["expected_start_time"][:19] < now]

    try:
        missed = until(lambda: late() if len(late()) >= 3 else None)
        house.ask("work_pools/gpu", {"is_paused": False}, "PATCH")
        # A night that fails is an end, too: else a new one would begin every 3 s until the server is swamped.
        until(
            lambda: any(house.run(run)["state_type"] in ("COMPLETED", "FAILED", "CRASHED") for run in missed)
        )
    finally:
        house.ask(f"deployments/{nightly}/schedules/{made}", {"active": False}, "PATCH")
    ends = [house.run(run_id) for run_id in missed]
    assert sorted(run["state_type"] for run in ends) == ["CANCELLED"] * (len(missed) - 1) + ["COMPLETED"]
    cancelled = next(run for run in ends if run["state_type"] == "CANCELLED")
    assert cancelled["state"]["message"] == "missed; a later run makes up for it"
    for worker in list(house.started):
        house.end(worker)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a webhook, and the bodies sent to it so far."""
    got: list[bytes] = []

    class Handler(http_server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is http.server's
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http_server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", got
        server.shutdown()


def test_a_schedule_fires_and_a_finished_review_starts_the_next_generation(
    house: House, webhook: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a served deployment instead of the work pool, on the same server."""
    served = house.sid("serve", "--cron", "0 1 * * *", "--when-reviewed", "--min-picks", "3")
    served.wait_for("nightly: 0 1 * * *")
    lonely = house.project("lonely")
    nightly = house.ask("deployments/name/nightly/nightly")["id"]
    often = {"schedule": {"interval": 5.0}, "active": True}
    made = house.ask(f"deployments/{nightly}/schedules", [often])[0]["id"]
    until(lambda: house.state(lonely) == "published" and not is_running(lonely))
    house.ask(f"deployments/{nightly}/schedules/{made}", None, "DELETE")
    assert any(
        run["auto_scheduled"] and run["state_type"] != "SCHEDULED" for run in house.runs("nightly/nightly")
    )

    monkeypatch.setenv("PREFECT_API_URL", house.server.url)
    monkeypatch.setenv("SID_WORKSPACE", str(house.workspace.folder))  # where the login is
    recipe = [sys.executable, str(_ROOT / "docs" / "notify.py"), webhook[0]]
    subprocess.run(recipe, check=True, capture_output=True, timeout=100)
    ids = [candidate.id for candidate in candidates(house.catalog, "lonely")]
    verdicts.decide(house.catalog, "lonely", ids[1:], Verdict.ACCEPT, "tester")
    verdicts.decide(house.catalog, "lonely", ids[:1], Verdict.REJECT, "tester")
    run = until(lambda: _of_event(house))
    assert run["parameters"]["project"] == "lonely"
    assert house.end_of(run["id"])["state_type"] == "COMPLETED"
    statuses = generations.statuses(house.catalog, "lonely")
    assert [(status.number, status.state) for status in statuses] == [(1, "grown"), (2, "published")]

    (lonely.folder / "fake-fail").write_text("train:ValueError:oops")
    ids = [candidate.id for candidate in candidates(house.catalog, "lonely", generation=2)]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # this event is lost
    verdicts.decide(house.catalog, "lonely", ids, Verdict.ACCEPT, "tester")
    swept = house.end_of(house.begin("reviewed/reviewed"))
    assert "1 of 1 projects failed: lonely" in swept["state"]["message"]
    sent = until(lambda: [body for body in webhook[1] if b"ValueError: oops" in body or b"lonely" in body])
    assert b"failed" in sent[0].lower()


def test_a_run_outlives_a_restart_of_the_server(house: House) -> None:
    for command in list(house.started):
        house.end(command)
    project = house.project("enduring", 20)
    run = house.sid("run", "enduring")
    run.wait_for("train: 1/20")
    house.server.stop()
    house.server = Server(house.workspace, schedules=True, port=house.server.port)
    assert run.end() == 0, run.output
    assert house.state(project) == "published"
    house.started.remove(run)
    ended = house.ask("flow_runs/filter", {"flow_runs": {"name": {"any_": ["enduring"]}}})
    assert [run["state_type"] for run in ended] == ["COMPLETED"]


def _of_event(house: House) -> dict[str, Any] | None:
    return next((run for run in house.runs("reviewed/reviewed") if run["parameters"].get("project")), None)
