"""A Ray cluster of two workers, with the catalog in PostgreSQL, draws the same candidates as one process."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from bootstrap.catalog import Catalog
from bootstrap.catalog.candidates import Candidate, candidates
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from flows import cluster
from tests.drawing.small import small_trained_project
from tests.postgres import Postgres
from tests.sid_command import sid_command

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


_PATIENCE = 800  # seconds; on a busy machine Ray alone takes minutes to start


def trained(folder: Path, originals: Path) -> Project:
    project = small_trained_project(folder, originals)
    text = project.toml.read_text().replace("count = 4", "count = 20").replace("steps = 2", "steps = 10")
    project.toml.write_text(text)
    return Project(project.workspace, project.name)  # a new object, which has not cached the old settings


def drawn(project: Project) -> list[Candidate]:
    catalog = Catalog(project.workspace.catalog_url)
    try:
        return candidates(catalog, project.name, state=None)
    finally:
        catalog.close()


def kill_a_worker(driver: int) -> None:
    """Send SIGKILL to a process that draws a shard."""
    workers = [
        process
        for process in psutil.Process(driver).children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
        and " ".join(process.cmdline()).startswith("ray::draw_shard")
    ]
    assert workers, "no worker draws"
    workers[0].send_signal(signal.SIGKILL)


def test_two_workers_draw_what_one_draws_and_one_is_killed(
    tmp_path: Path, originals: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = trained(tmp_path / "alone", originals)
    generation.draw(Generation(alone, Catalog(alone.workspace.catalog_url), 1))
    before = drawn(alone)

    monkeypatch.setenv("SID_CATALOG_URL", postgres.new_database())
    shared = trained(tmp_path / "shared", originals)
    monkeypatch.setenv(cluster.ADDRESS, "local")
    monkeypatch.delenv("PREFECT_HOME")
    with (tmp_path / "log").open("w+") as log:
        run = subprocess.Popen(
            sid_command(shared.workspace.folder, "run", "badge"), stdout=log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + _PATIENCE
        while not 2 <= len(drawn(shared)) < 16:
            assert run.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.1)
        kill_a_worker(run.pid)
        assert run.wait(_PATIENCE) == 0, Path(log.name).read_text()

    after = drawn(shared)
    assert [candidate.id for candidate in after] == [candidate.id for candidate in before] and len(
        after
    ) == 20
    for here, there in zip(before, after, strict=True):
        with Image.open(alone.folder / here.path) as first, Image.open(shared.folder / there.path) as second:
            difference = np.abs(np.asarray(first, np.int16) - np.asarray(second, np.int16))
        assert difference.max() <= 2
    assert {candidate.state for candidate in after} <= {"published", "duplicate", "flawed"}


def test_a_cluster_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cluster.ADDRESS, "nonsense://here")
    with (
        pytest.raises(UserError, match="SID_RAY_ADDRESS=nonsense://here: no Ray cluster answers"),
        cluster.connected(),
    ):
        pass
