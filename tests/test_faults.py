"""After any fault within a generation, another run ends with the result of an undisturbed one.

SID_FAULT_RUNS sets how many times each fault is tried.
"""

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bootstrap.catalog import Catalog, candidates, generations, picks, trainings
from bootstrap.files import TEMPORARY_PREFIX
from bootstrap.project.projects import Project, Workspace, create
from bootstrap.upkeep import doctor
from tests.drawing.small import CHANGES, RECIPES
from tests.fault_process import FULL
from tests.golden import doors

pytestmark = pytest.mark.slow

_RUNS = int(os.environ.get("SID_FAULT_RUNS", "3"))
_ROOT = Path(__file__).parent.parent


def small_project(folder: Path, originals: Path) -> Project:
    project = create(Workspace(folder), "badge", originals / "badge.png", "woman, red apple", recipes=RECIPES)
    lines = project.toml.read_text().splitlines()
    for key, value in CHANGES.items():
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{key} = ")]
        lines[place] = f"{key} = {value}"
    project.toml.write_text("\n".join(lines))
    return project


class Process:
    """tests/fault_process.py for one project."""

    def __init__(self, project: Project) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # a fork does not copy other threads
        command = [sys.executable, "-m", "tests.fault_process", str(project.workspace.folder), project.name]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, *, kill_after: float | None = None, full_at: int = 0) -> int:
        """Do what is missing, and return the exit code.

        Args:
            kill_after: seconds until SIGKILL, None for never.
            full_at: number of the write that finds the disk full, 0 for none.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{full_at}\n")
        self._process.stdin.flush()
        child = os.pidfd_open(int(self._line()))  # refers to this process even if its number is reused
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):  # it has already ended
                signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
        return int(self._line())

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0


@contextmanager
def process(project: Project) -> Iterator[Process]:
    started = Process(project)
    yield started
    started.end()


def outcome(project: Project) -> dict[str, Any]:
    """Return everything that a generation leaves, and check that it leaves nothing else."""
    with closing(Catalog(project.workspace.catalog_url)) as catalog:
        training = trainings.of_generation(catalog, project.name, 1)
        assert training is not None and training.finished
        for snapshot in training.snapshots:
            assert snapshot.sha256 == sha(project.folder / snapshot.path)
        result: dict[str, Any] = {
            "generations": [
                (status.number, status.state) for status in generations.statuses(catalog, project.name)
            ],
            "snapshots": [
                (snapshot.epoch, without_time(project.folder / snapshot.path))
                for snapshot in training.snapshots
            ],
            "candidates": [
                (drawn.id, drawn.state, drawn.duplicate_of, drawn.verdict, sha(project.folder / drawn.path))
                for drawn in candidates.candidates(catalog, project.name, state=None)
            ],
            "picks": [(pick.candidate_id, pick.caption) for pick in picks.picks(catalog, project.name)],
        }
    result["dataset"] = sorted((path.name, sha(path)) for path in project.dataset_folder.iterdir())
    assert list(project.folder.rglob(f"{TEMPORARY_PREFIX}*")) == []
    assert [
        finding.what for finding in doctor.examine(project.workspace) if project.name in finding.what
    ] == []
    return result


def without_time(path: Path) -> str:
    """Return what a LoRA file holds besides the time at which its training began."""
    tensors, metadata = doors.read_safetensors(path)
    lasting = {key: value for key, value in metadata.items() if key not in doors.TIMES}
    return hashlib.sha256(repr((tensors, lasting)).encode()).hexdigest()


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, originals: Path) -> tuple[dict[str, Any], float]:
    """The result of an undisturbed run, and how many seconds it takes."""
    project = small_project(tmp_path_factory.mktemp("whole"), originals)
    with process(project) as whole:
        began = time.monotonic()
        assert whole.run() == 0
        seconds = time.monotonic() - began
    return outcome(project), seconds


def test_killed_at_random_moments(
    undisturbed: tuple[dict[str, Any], float], tmp_path: Path, originals: Path
) -> None:
    """Repeated SIGKILL during training, drawing, curating and growing."""
    wanted, seconds = undisturbed
    rng, kills, tries = random.Random(8), 0, 0
    while kills < _RUNS:
        project = small_project(tmp_path / str(tries), originals)
        tries += 1
        with process(project) as broken:
            while (code := broken.run(kill_after=rng.uniform(0, 0.5 * seconds))) == -signal.SIGKILL:
                kills += 1
                if kills % 6 == 0:  # the last run is not disturbed
                    code = broken.run()
                    break
            assert code == 0
        assert outcome(project) == wanted


def test_a_disk_that_is_full_at_random_writes(
    undisturbed: tuple[dict[str, Any], float], tmp_path: Path, originals: Path
) -> None:
    """Each run finds the disk full at a random write, and the next one finds free space."""
    wanted, _ = undisturbed
    rng = random.Random(9)
    project = small_project(tmp_path, originals)
    failed = 0
    with process(project) as full:
        while (code := full.run(full_at=rng.randint(1, 4) if failed < _RUNS else 0)) == FULL:
            failed += 1
        assert code == 0
    assert failed >= 3
    assert outcome(project) == wanted


def test_a_catalog_that_another_process_locks(
    undisturbed: tuple[dict[str, Any], float], tmp_path: Path, originals: Path
) -> None:
    """For ten seconds, starting in the middle of the work."""
    wanted, seconds = undisturbed
    project = small_project(tmp_path, originals)
    Catalog(project.workspace.catalog_url).close()

    def lock() -> None:
        time.sleep(seconds / 3)
        with closing(sqlite3.connect(project.workspace.folder / "catalog.sqlite", timeout=60)) as connection:
            connection.execute("begin immediate")
            time.sleep(10)
            connection.rollback()

    with process(project) as patient:
        locker = threading.Thread(target=lock)
        locker.start()
        assert patient.run() == 0
        locker.join()
    assert outcome(project) == wanted
