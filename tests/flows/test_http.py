"""Plain HTTP to Prefect's API: the event of a finished review, and whether a server answers."""

import http.server
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import populate
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from bootstrap.serving import http as http_client
from bootstrap.serving import own_server
from flows import events, server
from review_app import prefect_runs

Requests = list[tuple[str, str, str | None, str]]  # method, path, Authorization, body


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[Requests]:
    """The requests to a server at PREFECT_API_URL, which answers `true`, or status 500 to paths with `broken`."""
    received: Requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            received.append((self.command, self.path, self.headers["Authorization"], body))
            closed = "closed" in self.path and not self.path.endswith("/health")
            self.send_response(500 if "broken" in self.path else 401 if closed else 200)
            self.end_headers()
            self.wfile.write(b"true")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    opened = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{opened.server_port}/api")
    yield received
    opened.shutdown()
    opened.server_close()


def test_a_finished_review_is_an_event_of_prefect(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:secret")
    events.review_finished("apple", 3)
    [(method, path, authorization, body)] = requests
    assert (method, path, authorization) == ("POST", "/api/events", "Basic dXNlcjpzZWNyZXQ=")
    [event] = json.loads(body)
    assert event["event"] == events.REVIEW_FINISHED
    assert event["payload"] == {"project": "apple", "generation": 3}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense"])
def test_a_server_that_does_not_answer_is_a_warning_only(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    with caplog.at_level(logging.WARNING):
        events.review_finished("apple", 3)
    [message] = caplog.messages
    assert "'apple' is reviewed" in message
    assert not server.answers(url)
    assert prefect_runs.ask("health") is None


def test_the_workspaces_own_server_gets_its_login_without_being_told(
    requests: Requests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a second terminal: only the address is set."""
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path))
    login = own_server.login(tmp_path)
    expected = http_client.authorization(login, None)["Authorization"]
    events.review_finished("apple", 1)
    assert prefect_runs.ask("health") is True
    own_server.record(tmp_path, prefect_runs.api_url())
    events.review_finished("apple", 2)
    assert prefect_runs.ask("health") is True
    monkeypatch.setattr(os, "environ", dict(os.environ))
    server.require_named_server(Workspace(tmp_path))
    assert os.environ["PREFECT_API_AUTH_STRING"] == login
    got = [authorization for _, _, authorization, _ in requests]
    assert got[:4] == [None, None, expected, expected] and set(got[4:]) == {expected}


def test_a_verdict_in_a_named_workspace_is_reported_with_its_login(
    requests: Requests, tmp_path: Path
) -> None:
    made = populate.make_project(tmp_path / "workspace")
    (one,) = populate.add_generation(made, 1)
    folder = made.workspace.folder
    own_server.record(folder, prefect_runs.api_url())
    main._load_verbs()
    done = CliRunner().invoke(main.app, ["--workspace", str(folder), "accept", made.name, one])
    assert done.exit_code == 0, done.output
    for thread in threading.enumerate():
        if thread.name == "review finished":
            thread.join()
    [(method, path, authorization, _)] = requests
    expected = http_client.authorization(own_server.login(folder), None)["Authorization"]
    assert (method, path, authorization) == ("POST", "/api/events", expected)
    assert Workspace.locate().folder != folder


def test_a_server_that_wants_another_login_is_named(
    requests: Requests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = prefect_runs.api_url().replace("/api", "/closed/api")
    monkeypatch.setattr(os, "environ", {**os.environ, "PREFECT_API_URL": url})
    with pytest.raises(UserError, match="wants a login: set PREFECT_API_AUTH_STRING"):
        server.require_named_server(Workspace(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", url)
    with (
        pytest.raises(UserError, match="wants a login: set PREFECT_API_AUTH_STRING"),
        prefect_runs.client() as api,
    ):
        api.read_deployment_by_name("nightly/nightly")


def test_only_a_healthy_server_answers(requests: Requests) -> None:
    url = prefect_runs.api_url()
    assert server.answers(url)
    assert not server.answers(f"{url}/broken")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PREFECT_API_KEY", "key", "Bearer key"),
        ("PREFECT_API_AUTH_STRING", "user:secret", "Basic dXNlcjpzZWNyZXQ="),
    ],
)
def test_the_app_sends_its_credentials(
    requests: Requests, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    assert prefect_runs.ask("health") is True
    assert prefect_runs.ask("broken") is None
    assert [authorization for _, _, authorization, _ in requests] == [expected, expected]
