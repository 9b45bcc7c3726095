"""The app on other addresses: real Chromium with a real `sid review --host`."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import populate
from browser.conftest import Visitor, _free_port

from review_app import login_settings

PASSWORD = "a long enough password"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """The address of an app with a password, on a workspace with one candidate."""
    made = populate.make_project(tmp_path / "workspace")
    populate.add_generation(made, 1)
    login_settings.set_password(made.workspace, PASSWORD)
    port, log = _free_port(), tmp_path / "log"
    command = [
        sys.executable, "-c", "from bootstrap.cli.main import main; main()", "--workspace", str(made.workspace.folder),
        "review", "--host", "0.0.0.0", "--port", str(port), "--no-browser",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    url, deadline = f"http://localhost:{port}", time.monotonic() + 90
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(30)


def test_one_logs_in_works_and_logs_out(guarded: str, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    visitor = Visitor(context.new_page(), guarded)
    page = visitor.page
    page.goto(f"{guarded}/generations?project=badge")
    page.get_by_label("Your name").fill("Ännä <i>")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Wrong password.").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Logged in as Ännä <i>").wait_for()
    visitor.open("/?project=badge")
    page.locator("img[src*='/picture/']").first.wait_for(state="attached")
    page.get_by_text("Log out").click()
    page.get_by_label("Your name").wait_for()
    assert page.request.get(f"{guarded}/original/badge.png").status == 401
    assert visitor.errors == []
    assert visitor.foreign == []
    context.close()
