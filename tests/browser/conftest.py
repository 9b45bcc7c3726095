"""The app as a person uses it: `sid review` in its own process, and a real Chromium."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.project.projects import Workspace
from bootstrap.serving import http, own_server
from tests.guard import network_guard

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
_START_SECONDS = 90
_WAIT_SECONDS = 30  # for anything on the page; the machine may be busy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests here: they need a browser and take seconds."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium; without one, skip, but fail in CI."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        reason = "no Chromium or no Playwright: apt-get install chromium; pip install playwright"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


class App:
    """A running `sid review`."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.port = _free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = workspace / "review-app.log"
        self.asked = workspace / "asked.txt"  # of other machines, by the app and the processes that it starts
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the app and wait until it answers."""
        environment = network_guard.watched({**os.environ, "SID_REVIEWER": "tester"}, self.asked)
        environment.pop("PREFECT_API_URL", None)
        command = [  # what the command `sid` does
            sys.executable, "-c", "from bootstrap.cli.main import main; main()", "--workspace", str(self.workspace),
            "review", "--port", str(self.port), "--no-browser",
        ]  # fmt: skip
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        pytest.fail(f"sid review did not answer within {_START_SECONDS} s:\n{self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the app and wait until its process has ended."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One server for all tests; each test creates its own project in the server's workspace."""
    running = App(tmp_path_factory.mktemp("workspace"))
    running.start()
    yield running
    running.stop()
    assert network_guard.asked(running.asked) == []


class Up:
    """A running `sid up` on an empty workspace, and what it serves."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "workspace")
        self.workspace.folder.mkdir()
        self.app = f"http://localhost:{(port := _free_port())}"
        self.log = folder / "up.log"
        environment = {
            **os.environ, "SID_REVIEWER": "tester", "SID_WORKSPACE": str(self.workspace.folder)
        }  # fmt: skip
        for name in ("PREFECT_API_URL", "PREFECT_HOME"):
            environment.pop(name, None)
        self.asked = folder / "asked.txt"
        environment = network_guard.watched(environment, self.asked)
        command = [
            sys.executable,
            "-c",
            "from bootstrap.cli.main import main; main()",
            "up",
            "--port",
            str(port),
        ]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        deadline = time.monotonic() + 180
        while "Ctrl-C stops everything" not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)
        self.prefect = self.log.read_text().partition("Prefect: ")[2].split()[0]
        self.login = (self.workspace.folder / own_server.LOGIN_FILE).read_text().strip()

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask Prefect's API, with the login."""
        headers = {"Content-Type": "application/json", **http.authorization(self.login, None)}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.prefect}/api/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `sid up` for all tests, which test_up.py kills at last."""
    started = Up(tmp_path_factory.mktemp("up"))
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGINT)
        started.process.wait(120)
    assert network_guard.asked(started.asked) == []


class Visitor:
    """A person who uses the app: a page of the browser, its errors and its requests to other sites."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", self._note_refusal)
        page.on("request", self._note)

    def _note_refusal(self, message: Any) -> None:
        if "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", self.url.replace("http", "ws"))):
            self.foreign.append(request.url)

    def open(self, path: str) -> None:
        """Load a page of the app and wait until its script has run."""
        self.page.goto(self.url + path)
        self.settle()

    def settle(self) -> None:
        """Wait until the script of the page has run."""
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")

    def shown(self) -> str:
        """Return the id of the candidate in the deck, an empty text if there is none."""
        return str(self.page.locator(".deck").get_attribute("data-candidate"))

    def expect_shown(self, candidate_id: str) -> None:
        """Wait until the deck shows this candidate and its picture is loaded."""
        self.page.locator(f'.deck[data-candidate="{candidate_id}"]').wait_for()
        self.page.locator(".deck .slot img").evaluate("(picture) => picture.decode()")

    def press(self, *keys: str) -> None:
        """Press keys one after another, without waiting in between."""
        for key in keys:
            self.page.keyboard.press(key)

    def expect_sent(self) -> None:
        """Wait until the server has confirmed all acts."""
        self.page.wait_for_function(
            "() => Object.keys(localStorage).every((key) => !key.startsWith('sid/unsent/'))"
        )


@pytest.fixture
def visitors(chromium: Any, app: App) -> Iterator[Callable[[], Visitor]]:
    """Make visitors with fresh browser profiles; afterwards assert no script errors and no requests to other sites."""
    made: list[Visitor] = []

    def make() -> Visitor:
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
        context.set_default_timeout(_WAIT_SECONDS * 1000)
        made.append(Visitor(context.new_page(), app.url))
        return made[-1]

    yield make
    for visitor in made:
        visitor.page.context.close()
        assert visitor.errors == []
        assert visitor.foreign == []


@pytest.fixture
def visitor(visitors: Callable[[], Visitor]) -> Visitor:
    """A visitor with a fresh browser profile."""
    return visitors()
