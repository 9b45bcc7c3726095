"""Starting a generation: through Prefect if it answers, or else as a process; and the phase of a project."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from browser import populate
from making import bring

from bootstrap.catalog import generations
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from review_app import starting
from review_app.phases import Phase, phase
from review_app.workspace import catalog_of

SLEEP = "import time; time.sleep(60)"


@pytest.fixture(autouse=True)
def no_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    started: dict = {}
    monkeypatch.setattr(starting, "_latest", started)
    yield
    for one in started.values():
        if one.process is not None:
            one.process.kill()
            one.process.wait()


def run_instead(monkeypatch: pytest.MonkeyPatch, program: str) -> list[list[str]]:
    """Start this program instead of the process; return the list of commands that the app starts."""
    commands: list[list[str]] = []
    real = starting.subprocess.Popen

    def popen(command: list[str], **options: object) -> object:
        commands.append(command)
        return real([command[0], "-c", program], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(starting.subprocess, "Popen", popen)
    return commands


def where(made: Project) -> Phase:
    statuses = generations.statuses(catalog_of(made), made.name)
    return phase(made, statuses, starting.latest(made))[0]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for(made: Project, wanted: Phase) -> None:
    deadline = time.monotonic() + 30
    while where(made) is not wanted:
        assert time.monotonic() < deadline, where(made)
        time.sleep(0.05)


def test_without_prefect_sid_run_is_started(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = run_instead(monkeypatch, SLEEP)
    started = starting.start(made, "token")
    assert commands[0][-4:] == ["--workspace", str(made.workspace.folder), "run", "badge"]
    assert started.is_alive()
    assert where(made) is Phase.STARTING
    with pytest.raises(UserError, match="running already"):
        starting.start(made, "token")
    assert len(commands) == 1


def test_a_run_that_tidies_up_is_waited_for(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = run_instead(monkeypatch, "import time; time.sleep(1)")
    starting.start(made, "token")
    starting.start(made, "other", patience=30)
    assert len(commands) == 2


def test_a_run_that_dies_reports_why(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "print('sid: base model: not there'); raise SystemExit(2)")
    starting.start(made, "token")
    wait_for(made, Phase.FAILED)
    statuses = generations.statuses(catalog_of(made), made.name)
    why = phase(made, statuses, starting.latest(made))[1]
    assert why == "the run ended with exit code 2: base model: not there"
    assert "base model: not there" in starting.log_tail(made)


def test_a_real_run_that_cannot_begin_says_why(made: Project) -> None:
    made.toml.write_text(made.toml.read_text("utf-8").replace("repeats", "repeat"), "utf-8")
    starting.start(made, "token").process.wait(timeout=120)  # type: ignore[union-attr]
    why = phase(made, [], starting.latest(made))[1]
    assert "repeats" in why
    assert "exit code 2" in why


def test_with_prefect_the_deployment_is_run(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with prefect_api({"type": "SCHEDULED"}) as (url, state):
        monkeypatch.setenv("PREFECT_API_URL", url)
        commands: list[tuple[str, dict]] = []

        def run_deployment(name: str, **options: object) -> SimpleNamespace:
            commands.append((name, options))
            return SimpleNamespace(id="1234")

        monkeypatch.setattr("prefect.deployments.run_deployment", run_deployment)
        started = starting.start(made, "token")
        wait_until(lambda: started.flow_run)
        name, options = commands[0]
        assert name == "bootstrap/bootstrap"
        wanted = {"workspace": str(made.workspace.folder), "project": "badge", "more": False}
        assert options["parameters"] == wanted
        assert options["timeout"] == 0
        assert str(options["idempotency_key"]).endswith(":token")
        assert started.flow_run == "1234"
        assert where(made) is Phase.STARTING
        state.update(type="CRASHED", message="out of memory")
        assert where(made) is Phase.FAILED
        assert "out of memory" in phase(made, [], started)[1]


def test_a_prefect_that_does_not_answer_is_passed_by(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(starting, "_PREFECT_SECONDS", 0)
    commands = run_instead(monkeypatch, "import os; print(os.environ.get('PREFECT_API_URL'))")
    started = starting.start(made, "token")
    wait_until(lambda: started.process)
    assert started.process is not None
    started.process.wait(timeout=30)
    assert len(commands) == 1
    assert starting.log_tail(made) == "None"


def test_a_deployment_that_is_not_served_yet_is_waited_for(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([None, "1234"])
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(starting, "_prefect_answers", lambda: True)
    monkeypatch.setattr(starting, "_run_deployment", lambda project, token, more: next(answers))
    started = starting.start(made, "token")
    assert where(made) is Phase.STARTING
    with pytest.raises(UserError, match="running already"):
        starting.start(made, "token")
    wait_until(lambda: started.flow_run == "1234")


def test_what_prefect_raises_is_reported(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(project: Project, token: str, more: bool) -> str:
        raise ValueError("no such work pool")

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(starting, "_prefect_answers", lambda: True)
    monkeypatch.setattr(starting, "_run_deployment", fail)
    starting.start(made, "token")
    wait_for(made, Phase.FAILED)
    assert "no such work pool" in phase(made, [], starting.latest(made))[1]


class prefect_api:  # noqa: N801
    """A web server that says it is healthy and reports one flow run's state."""

    def __init__(self, state: dict[str, str]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"true" if self.path.endswith("/health") else json.dumps({"state": state}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.state = state
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> tuple[str, dict[str, str]]:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/api", self.state

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_where_a_project_stands(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = catalog_of(made)
    assert where(made) is Phase.NEW
    generations.begin(catalog, made.name)
    bring(made, catalog, 1, "training")
    assert where(made) is Phase.RUNNING  # it reported progress a moment ago
    monkeypatch.setattr("review_app.phases._SILENT_SECONDS", -1)
    assert where(made) is Phase.INTERRUPTED
    with exclusively(made):
        assert where(made) is Phase.RUNNING
    run_instead(monkeypatch, SLEEP)  # a silent process is not a dead one
    starting.start(made, "token")
    bring(made, catalog, 1, "training")
    assert where(made) is Phase.RUNNING
    starting.latest(made).process.kill()  # type: ignore[union-attr]
    wait_for(made, Phase.INTERRUPTED)
    states = (
        ("failed", Phase.FAILED),
        ("cancelled", Phase.CANCELLED),
        ("published", Phase.REVIEW),
        ("grown", Phase.GROWN),
    )
    for state, expected in states:
        bring(made, catalog, 1, state)
        assert where(made) is expected


def test_a_start_that_reached_the_catalog_is_over(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    populate.add_generation(made, 1)
    run_instead(monkeypatch, SLEEP)
    starting.start(made, "token")
    assert where(made) is Phase.STARTING
    bring(made, catalog_of(made), 1, "training")
    assert where(made) is Phase.RUNNING


def test_the_log_shows_the_last_state_of_a_progress_bar(made: Project) -> None:
    (made.folder / starting.LOG_NAME).write_bytes(b"begin\r\n10 %\r50 %\r100 %\nend\n\n")
    assert starting.log_tail(made) == "begin\n100 %\nend"
    assert starting.log_tail(made, lines=1) == "end"


def test_a_run_is_cancelled_and_can_be_started_again(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, SLEEP)
    begun = starting.start(made, "token")
    starting.cancel(made)
    wait_for(made, Phase.NEW)
    assert begun.process is not None and begun.process.poll() is not None
    assert starting.start(made, "other").is_alive()


def test_a_run_that_still_waits_for_prefect_is_cancelled(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    commands = run_instead(monkeypatch, SLEEP)
    starting.start(made, "token")
    starting.cancel(made)
    wait_for(made, Phase.NEW)
    assert commands == []


def test_a_run_of_somebody_else_is_not_ended_from_here(made: Project) -> None:
    with pytest.raises(UserError, match="Ctrl-C"):
        starting.cancel(made)
