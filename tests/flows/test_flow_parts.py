"""The parts around the flows: console, reports, schedule, children, demo, checks of the command line."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from making import bring
from PIL import Image
from rich.console import Console

from bootstrap.catalog import Catalog, generations
from bootstrap.errors import UserError
from bootstrap.progress import Progress
from bootstrap.project.projects import Project, Workspace
from flows import children, console, deadline, demo, environment, keeping, reports, serve, server, up
from flows.enough import MIN_PICKS


def test_details_show_loss_rate_and_time_left() -> None:
    assert console.details(Progress("train", 30, 120, "steps", 1.5, "loss 0.0123")) == (
        "steps, loss 0.0123, 1.5 steps/s, 1:00 left"
    )
    assert console.details(Progress("draw", 0, 52, "pictures")) == "pictures"
    assert (
        console.details(Progress("draw", 1, 7202, "pictures", 1.0)) == "pictures, 1 pictures/s, 2:00:01 left"
    )


def test_without_a_terminal_there_are_few_lines() -> None:
    text = io.StringIO()
    with console.progress_shown(Console(file=text, width=40)):
        for step in range(1, 101):
            console.report(Progress("train", step, 100, "steps", 5.0, "loss [0.1]"))
    first, second = text.getvalue().splitlines()
    assert first.startswith("train: 1/100 steps, loss [0.1]")
    assert second == "train: 100/100 steps, loss [0.1], 5 steps/s"
    console.report(Progress("train", 1, 1, "steps"))  # no listener any more
    assert len(text.getvalue().splitlines()) == 2


def test_a_narrow_terminal_shows_the_time_left() -> None:
    text = io.StringIO()
    with console.progress_shown(Console(file=text, width=60, force_terminal=True)):
        console.report(Progress("train", 30, 120, "steps", 1.5, "epoch 4, loss 0.0123"))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue())
    assert "30/120 1:00 left 1.5 step" in " ".join(shown.split())


def test_a_served_flow_writes_its_progress_to_the_log() -> None:
    lines: list[str] = []
    with console.progress_logged(lines.append):
        assert console.is_shown()
        for step in (1, 60, 120):
            console.report(Progress("train", step, 120, "steps", 1.5, "loss 0.0123"))
    assert lines == [
        "train: 1/120 steps, loss 0.0123, 1.5 steps/s, 1:19 left",
        "train: 120/120 steps, loss 0.0123, 1.5 steps/s",
    ]
    assert not console.is_shown()


def test_a_terminal_gets_bars() -> None:
    text = io.StringIO()
    with console.progress_shown(Console(file=text, width=120, force_terminal=True)):
        console.report(Progress("train", 100, 100, "steps", 5.0, "loss 0.1"))
        console.report(Progress("draw", 10, 10, "pictures", 2.0))
    assert "loading the libraries and the base model" in text.getvalue()
    assert "100/100" in text.getvalue() and "10/10" in text.getvalue() and "loss 0.1" in text.getvalue()


def test_the_artifact_has_counts_and_a_small_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "a sheet.png"
    Image.new("RGB", (1600, 1200), "teal").save(sheet)
    markdown = reports.generation_markdown(
        {"project": "demo", "number": 2, "drawn": 52, "duplicates": 4, "published": 48, "sheet": str(sheet)}
    )
    assert "| 52 | 4 | 48 |" in markdown
    assert f"`{sheet}`" in markdown
    encoded = re.search(r"base64,([^)]+)\)", markdown)
    assert encoded is not None
    assert Image.open(io.BytesIO(base64.b64decode(encoded.group(1)))).size == (640, 480)


@pytest.mark.parametrize(
    ("name", "key"), [("demo", "generation-demo"), ("Red Apple_2.b", "generation-red-apple-2-b")]
)
def test_artifact_keys_are_what_prefect_takes(name: str, key: str) -> None:
    assert reports.key("generation", name) == key


def test_clock() -> None:
    assert serve.clock("0 1 * * *", "Europe/Berlin") == serve.Clock("0 1 * * *", "Europe/Berlin")
    assert serve.clock(None, None) is None
    here = serve.clock("0 1 * * *", None)
    assert here is not None and here.timezone


@pytest.mark.parametrize(
    ("cron", "timezone", "message"),
    [
        ("61 1 * * *", None, "--cron '61 1 \\* \\* \\*': not a cron schedule"),
        ("every night", None, "not a cron schedule"),
        ("", None, "not a cron schedule"),
        ("0 0 1 * * *", None, "--cron '0 0 1 .*': it has six fields, and seconds cannot be set"),
        ("0 1 * * *", "Mars/Base", "--timezone Mars/Base: unknown"),
        (None, "Europe/Berlin", "--timezone: it has no effect without --cron"),
    ],
)
def test_a_wrong_clock_is_refused(cron: str | None, timezone: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        serve.clock(cron, timezone)


@pytest.mark.parametrize("wrong", ["7", "7:00", "24:00", "12:60", "", "tomorrow"])
def test_a_wrong_deadline_is_refused(wrong: str) -> None:
    with pytest.raises(UserError, match=r"--deadline .*: not a time of day"):
        serve.clock("0 1 * * *", None, wrong)


def test_the_clock_on_the_command_line_of_the_served_flows() -> None:
    options = [
        "--cron",
        "0 1 * * *",
        "--timezone",
        "Europe/Berlin",
        "--deadline",
        "07:00",
        "--max-waiting",
        "9",
    ]
    assert serve.Clock("0 1 * * *", "Europe/Berlin", "07:00", 9).options == options
    with pytest.raises(UserError, match="--max-waiting: it has no effect without --cron"):
        serve.clock(None, None, None, 9)


def test_picks_that_are_enough_on_the_command_line() -> None:
    night = serve.Clock("0 1 * * *", "UTC")
    assert serve.enough_picks(7, night, False) == serve.enough_picks(7, None, True) == 7
    assert serve.enough_picks(None, None, False) == MIN_PICKS
    with pytest.raises(UserError, match="--min-picks: it has no effect without --cron or --when-reviewed"):
        serve.enough_picks(7, None, False)


def test_the_deployments_know_the_limits(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "PREFECT_HOME": str(workspace.folder)})
    night = serve.Clock("0 1 * * *", "UTC", "07:00", 9)
    with ThreadPoolExecutor(1) as thread:  # an earlier Playwright test leaves an event loop in this thread
        deployments = thread.submit(serve.deployments, workspace, night, True, 7).result()
    made = {deployment.name: deployment.parameters for deployment in deployments}
    place = {"workspace": str(workspace.folder)}
    assert made["bootstrap"] == place
    assert made["reviewed"] == {**place, "min_picks": 7}
    assert made["nightly"] == {
        **place, "min_picks": 7, "deadline": "07:00", "timezone": "UTC", "max_waiting": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-07-01T22:30:00+00:00", "2026-07-02T07:00:00+02:00"),
        ("2026-07-02T04:59:59+00:00", "2026-07-02T07:00:00+02:00"),
        ("2026-07-02T05:00:00+00:00", "2026-07-03T07:00:00+02:00"),
        ("2026-10-24T23:30:00+02:00", "2026-10-25T07:00:00+01:00"),  # in this night the clocks go back
    ],
)
def test_the_deadline_is_the_next_such_time_of_day(now: str, expected: str) -> None:
    reached = deadline.next_time("07:00", "Europe/Berlin", datetime.fromisoformat(now))
    assert reached == datetime.fromisoformat(expected)


def test_a_night_leaves_a_report_that_the_command_shows(workspace: Workspace, monkeypatch: Any) -> None:
    monkeypatch.setattr(reports, "create_table_artifact", lambda **_: None)
    command = [sys.executable, "-m", "bootstrap", "--workspace", str(workspace.folder), "report"]
    assert "no night yet" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    reports.report_night([{"project": "a", "outcome": "failed", "detail": "no | luck"}], workspace.folder)
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "| a | failed | no / luck |" in printed


def test_the_environment_is_private_and_the_users_own_values_stay(
    workspace: Workspace, monkeypatch: Any
) -> None:
    monkeypatch.setattr(os, "environ", {"PREFECT_RUNNER_POLL_FREQUENCY": "7"})
    environment.prepare(workspace)
    assert os.environ["PREFECT_HOME"] == str(workspace.folder / ".prefect")
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["PREFECT_RUNNER_POLL_FREQUENCY"] == "7"


def test_prefect_files_of_another_account_are_avoided(
    workspace: Workspace, tmp_path: Path, monkeypatch: Any
) -> None:
    """As if a person had tried `sid up` before the service started under its own account."""
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment.prepare(workspace)
    assert tempfile.gettempdir() == str(tmp_path)  # no other account has used it
    (tmp_path / "runner_storage").touch(mode=0o600)  # a file: not even root can make one in it
    environment.prepare(workspace)
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path / f"sid-{os.getuid()}")
    (Path(tempfile.gettempdir()) / "runner_storage").mkdir()


def test_serving_needs_a_server(workspace: Workspace, monkeypatch: Any) -> None:
    url = f"http://127.0.0.1:{server.free_port()}/api"
    monkeypatch.setattr(os, "environ", {"PREFECT_API_URL": url})
    with pytest.raises(UserError, match=f"no Prefect server answers at {url}: start one with"):
        serve.serve(workspace, None)


def test_the_verbs_cost_no_import_of_prefect_or_torch() -> None:
    """Nor does `sid run` before it has named its server: Prefect reads the environment once, at import."""
    heavy = "[m for m in ('prefect', 'torch', 'streamlit') if m in sys.modules]"
    code = f"import sys, flows.cli, flows.foreground; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_port_in_use_is_not_free() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not server.is_free(port)
        assert server.free_port(port) != port
    assert server.free_port(port) == port
    assert not server.answers(f"http://127.0.0.1:{port}/api")


def test_a_child_that_ends_early_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old words\n")
    child = children.start("the thing", [sys.executable, "-c", "print('no such door'); exit(3)"], log)
    with pytest.raises(children.StartError, match="the thing ended with code 3\n    no such door\n"):
        child.wait_until(lambda: child.has_said("old words"), 20)
    child.stop(1)


def test_a_process_that_dies_is_started_again_until_it_dies_too_often(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts: list[children.Child] = []

    def start(_: object = None) -> children.Child:
        code = f"print('start {len(starts) + 1}: no luck'); raise SystemExit(3)"
        starts.append(children.start("the oven", [sys.executable, "-c", code], tmp_path / "log"))
        return starts[-1]

    with pytest.raises(keeping.GivenUpError, match="the oven ended 3 times in a row") as given_up:
        keeping.keep([keeping.Kept(start(), start)], pauses=(0.1, 0.2))
    assert "start 3: no luck" in str(given_up.value) and len(starts) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"the oven ended with code 3; started again in 0.1 s (log: {tmp_path / 'log'})",
        "running again: the oven",
        f"the oven ended with code 3; started again in 0.2 s (log: {tmp_path / 'log'})",
        "running again: the oven",
    ]


def test_a_start_that_fails_counts_as_a_death(tmp_path: Path) -> None:
    def start(_: object) -> children.Child:
        raise children.StartError("the oven was not ready after 120 s")

    first = children.start("the oven", [sys.executable, "-c", ""], tmp_path / "log")
    with pytest.raises(keeping.GivenUpError, match="was not ready after 120 s"):
        keeping.keep([keeping.Kept(first, start)], pauses=(0.1,))


def test_one_up_at_a_time_serves_a_workspace(workspace: Workspace) -> None:
    workspace.folder.mkdir()
    for left in (".up.lock", ".up-address"):  # of one that was killed
        (workspace.folder / left).write_text("http://localhost:1")
    with (
        up.only_one(workspace, 8600),
        pytest.raises(UserError, match="with the app on http://localhost:8600; use that one"),
        up.only_one(workspace, 8601),
    ):
        pass
    with up.only_one(workspace, 8601):
        pass


def test_a_silent_child_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    child = children.start("the thing", ["sleep", "60"], tmp_path / "log")
    with pytest.raises(children.StartError, match="not ready after 0 s"):
        child.wait_until(lambda: False, 0.2)
    child.stop(5)
    assert child.ended


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _eventually(wanted: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_stopped_child_takes_its_own_children_along(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; sleep 60 & echo $! > $0; wait; wait"
    child = children.start("the thing", ["sh", "-c", stubborn, str(tmp_path / "pid")], tmp_path / "log")
    child.wait_until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()), 20)
    grandchild = int((tmp_path / "pid").read_text())
    child.stop(0.2)
    assert _eventually(lambda: not _alive(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has prctl")
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from flows import children\n"
        "child = children.start('x', ['sleep', '60'], Path(sys.argv[1]))\n"
        "print(child.process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _eventually(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes())
        parent.send_signal(signal.SIGKILL)
    assert _eventually(lambda: not _alive(child))


def test_a_stubborn_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """With what it has started: a flow run may wait for a server that is gone, too."""
    code = (
        "import sys, time; from pathlib import Path; from flows import children\n"
        "children.KILLED_GRACE_SECONDS = 0.5\n"
        "stubborn = \"trap '' TERM; sleep 60 & echo $! > $0; wait; wait\"\n"
        "child = children.start('x', ['sh', '-c', stubborn, sys.argv[1]], Path(sys.argv[1] + '.log'))\n"
        "print(child.process.pid, flush=True); time.sleep(60)"
    )
    pid = tmp_path / "pid"
    command = [sys.executable, "-c", code, str(pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _eventually(lambda: pid.exists() and bool(pid.read_text()))
        parent.send_signal(signal.SIGKILL)
    grandchild = int(pid.read_text())
    assert _eventually(lambda: not _alive(child) and not _alive(grandchild))


def test_the_demo_project_is_made_once(workspace: Workspace, catalog: Catalog) -> None:
    made = demo.project(workspace)
    assert made.settings.recipe and sum(recipe.count for recipe in made.settings.recipe) >= 48
    assert demo.needs_run(made)
    made.toml.write_text(made.toml.read_text() + "\n# mine\n")
    assert demo.project(workspace).toml.read_text().endswith("# mine\n")
    number = generations.begin(catalog, made.name)
    bring(made, catalog, number, "published")
    assert not demo.needs_run(made)
    assert demo.pictures(made) == made.generation_folder(1) / "candidates"


def test_mistakes_on_the_command_line_are_one_line(
    project: Project, sid: Callable[..., Any], tmp_path: Path
) -> None:
    project.toml.write_text(project.toml.read_text().replace("repeats", "repets"))
    mistakes = {
        ("run", "nobody"): "sid: project 'nobody': not in workspace",
        ("run", "demo"): "did you mean 'repeats'?",
        ("serve", "--cron", "x"): "sid: --cron 'x': not a cron schedule",
        ("up", "--cron", "0 1 * * *", "--timezone", "Mars"): "sid: --timezone Mars: unknown",
    }
    running = {arguments: sid(*arguments) for arguments in mistakes}
    for arguments, words in mistakes.items():
        assert running[arguments].end() == 2
        assert words in running[arguments].output
        lines = running[arguments].output.splitlines()
        assert [line for line in lines if not line.endswith(": checking its settings and files")] == lines[
            -1:
        ]
