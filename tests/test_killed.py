"""Killed with SIGKILL in the middle: `sid run` again ends with what an undisturbed run gives."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bootstrap.catalog import Catalog, generations
from bootstrap.files import TEMPORARY_PREFIX
from bootstrap.project import Project
from tests.loop import candidates, sid, sid_command, small_project

pytestmark = pytest.mark.slow


def kill_when(project: Project, stage: str, done: int) -> None:
    """Start `sid run` and kill it as soon as that much of a stage is done."""
    catalog = Catalog(project.workspace.catalog_url)
    running = subprocess.Popen(
        sid_command(project.workspace.folder, "run", project.name),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            assert running.poll() is None, f"sid run ended before {stage} had done {done}"
            known = generations.statuses(catalog, project.name)
            if known and known[-1].stage == stage and done <= known[-1].done < known[-1].total:
                return
            time.sleep(0.02)
        raise AssertionError(f"{stage} never came to {done}")
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        catalog.close()


def outcome(workspace: Path) -> list[tuple[str, str, str | None, bytes]]:
    found = candidates(workspace, "badge", "--all")
    return [(one["id"], one["state"], one["duplicate_of"], Path(one["path"]).read_bytes()) for one in found]


def test_killed_in_training_and_in_drawing(tmp_path: Path, originals: Path) -> None:
    whole = small_project(tmp_path / "undisturbed", originals)
    sid(whole.workspace.folder, "run", "badge")

    broken = small_project(tmp_path / "killed", originals)
    kill_when(broken, "train", done=8)  # within the second of four epochs of six steps
    kill_when(broken, "draw", done=2)  # of ten pictures
    sid(broken.workspace.folder, "run", "badge")

    assert outcome(broken.workspace.folder) == outcome(whole.workspace.folder)
    assert len(outcome(broken.workspace.folder)) == 10
    partial = [path for path in broken.folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]
    assert partial == []
