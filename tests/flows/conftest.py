"""Workspaces with projects, stations that take milliseconds, and `sid` in its own process."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from bootstrap.catalog import Catalog
from bootstrap.project import projects
from bootstrap.project.projects import Project, Workspace
from tests.guard import network_guard

_FAKES = Path(__file__).parent / "fakes"
_ROOT = Path(__file__).parents[2]
_SID = [sys.executable, "-c", "from bootstrap.cli.main import main; main()"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.locate(tmp_path / "workspace")


@pytest.fixture
def new_project(workspace: Workspace, tmp_path: Path) -> Callable[[str], Project]:
    """Make a project of this name in the workspace."""
    picture = tmp_path / "picture.png"
    Image.effect_noise((128, 128), 80).convert("RGB").save(picture)

    def make(name: str) -> Project:
        return projects.create(workspace, name, picture, "woman, red apple, teal wall")

    return make


@pytest.fixture
def project(new_project: Callable[[str], Project]) -> Project:
    """A project that has no generation yet."""
    return new_project("demo")


@pytest.fixture
def catalog(workspace: Workspace) -> Iterator[Catalog]:
    """The workspace's catalog."""
    opened = Catalog(workspace.catalog_url)
    yield opened
    opened.close()


@pytest.fixture
def fake_stations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the stations in this process by fakes; see fakes/fake_stations.py."""
    spec = importlib.util.spec_from_file_location("fake_stations", _FAKES / "fake_stations.py")
    assert spec is not None and spec.loader is not None
    fakes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fakes)
    for name, module in fakes.modules().items():
        package, _, last = name.rpartition(".")
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(importlib.import_module(package), last, module, raising=False)


class Sid:
    """The `sid` command in its own process, with fake stations."""

    def __init__(self, workspace: Workspace, arguments: tuple[str, ...], server: str | None) -> None:
        # The code under test, even if another version is installed.
        environment = network_guard.watched(dict(os.environ), _asked(workspace))
        paths = os.pathsep.join([str(_FAKES), str(_ROOT), environment["PYTHONPATH"]])
        environment |= {"PYTHONPATH": paths, "SID_WORKSPACE": str(workspace.folder)}
        for name in ("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_LOGGING_LEVEL"):
            environment.pop(name, None)
        if server is not None:
            environment["PREFECT_API_URL"] = server
        self._path = workspace.folder.with_name(f"output-{time.monotonic_ns()}")
        with self._path.open("wb") as output:
            self.process = subprocess.Popen(
                [*_SID, *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip

    @property
    def output(self) -> str:
        """Return its output so far, including errors."""
        return self._path.read_text("utf-8", errors="replace")

    def wait_for(self, words: str, seconds: float = 120) -> None:
        """Wait until these words are in the output."""
        deadline = time.monotonic() + seconds
        while words not in self.output:
            assert self.process.poll() is None, f"sid ended first:\n{self.output}"
            assert time.monotonic() < deadline, f"no {words!r} after {seconds} s:\n{self.output}"
            time.sleep(0.1)

    def end(self, with_signal: signal.Signals | None = None, seconds: float = 120) -> int:
        """Send the signal, if any, wait for the end, and return the exit code."""
        if with_signal is not None:
            self.process.send_signal(with_signal)
        return self.process.wait(seconds)


@pytest.fixture
def sid(workspace: Workspace) -> Iterator[Callable[..., Sid]]:
    """Start `sid ARGUMENTS...` on the workspace, with or without a Prefect server; stop it after the test.

    Afterwards assert that none of its processes asked anything of another machine.
    """
    workspace.folder.mkdir(exist_ok=True)
    started: list[Sid] = []

    def start(*arguments: str, server: str | None = None) -> Sid:
        started.append(Sid(workspace, arguments, server))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.end(signal.SIGTERM)
    assert network_guard.asked(_asked(workspace)) == []


def _asked(workspace: Workspace) -> Path:
    return workspace.folder.with_name("asked.txt")


def processes_of(workspace: Workspace) -> dict[int, str]:
    """Return the command lines of the processes that `sid` has started for this workspace, by their ids."""
    commands = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has just ended, or belongs to another user
            continue
        if f"SID_WORKSPACE={workspace.folder}\0".encode() in environment:
            commands[int(folder.name)] = command
    return commands


@pytest.fixture
def all_gone(workspace: Workspace) -> Callable[[float], bool]:
    """Return whether all processes that `sid` has started for this workspace end within this many seconds."""

    def gone(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while processes_of(workspace):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    return gone
