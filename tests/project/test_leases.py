"""Who works on a project, where machines share a catalog in PostgreSQL: dead runs are found, living ones left alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import rows
from making import make_project, open_catalog

from bootstrap.catalog import Catalog, generations
from bootstrap.catalog import leases as catalog_leases
from bootstrap.catalog.leases import find
from bootstrap.catalog.tables import now
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.project import leases, running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.project.running import is_running
from bootstrap.upkeep import doctor


@pytest.fixture
def shared(postgres, tmp_path, monkeypatch) -> Iterator[tuple[Project, Catalog]]:
    """A project whose catalog machines share; hearts beat fast."""
    monkeypatch.setenv("SID_CATALOG_URL", postgres.new_database())
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(leases, "DEAD_AFTER_SECONDS", 2.0)
    project = make_project(tmp_path)
    catalog = open_catalog(project)
    generations.begin(catalog, project.name)
    yield project, catalog
    catalog.close()


def lease_of_another_machine(catalog: Catalog, age: timedelta = timedelta(0)) -> None:
    rows.add(
        catalog, "lease", project_id=1, holder="h" * 32, machine="elsewhere", process=7, beats=3,
        beat_at=now() - age,
    )  # fmt: skip


@contextmanager
def beating(catalog: Catalog) -> Iterator[None]:
    """Beat for the lease ten times a second, as another machine's run does."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.1):
            catalog_leases.beat(catalog, "h" * 32)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_run_holds_a_lease_whose_heart_beats(shared):
    project, catalog = shared
    with running.exclusively(project):
        first = find(catalog, project.name)
        assert first is not None and first.is_of_this_machine and is_running(project)
        time.sleep(0.5)
        assert find(catalog, project.name).beats > first.beats
        leases.check()
    assert find(catalog, project.name) is None and not is_running(project)


def test_a_living_run_of_another_machine_is_left_alone(shared):
    project, catalog = shared
    lease_of_another_machine(catalog)
    assert is_running(project)
    refused = pytest.raises(UserError, match="running already, on elsewhere")
    with beating(catalog), refused, running.exclusively(project):
        pass
    assert find(catalog, project.name).machine == "elsewhere"


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_an_hour_kills_nobody(shared, monkeypatch, jump):
    """What a machine's clock says has no part in it: a living run is left alone, and holding on works."""
    project, catalog = shared
    lease_of_another_machine(catalog)
    monkeypatch.setattr(catalog_leases, "now", lambda: now() + jump)
    refused = pytest.raises(UserError, match="on elsewhere")
    with beating(catalog), refused, running.exclusively(project):
        pass
    rows.remove(catalog, "lease")
    with running.exclusively(project):
        time.sleep(0.3)
        leases.check()


def test_a_dead_run_of_another_machine_is_taken_over(shared):
    project, catalog = shared
    lease_of_another_machine(catalog)
    with running.exclusively(project):
        assert find(catalog, project.name).is_of_this_machine
    assert find(catalog, project.name) is None


def test_a_run_that_was_taken_over_stops(shared):
    """As after an hour of sleep, in which another machine has begun to work on the project."""
    project, catalog = shared
    with running.exclusively(project):
        report = generation.reporter(Generation(project, catalog, 1), lambda _: None)
        rows.change(catalog, "lease", holder="h" * 32, machine="elsewhere")
        deadline = time.monotonic() + 20
        with pytest.raises(leases.LeaseLost):
            while time.monotonic() < deadline:
                generations_step(report)
    assert find(catalog, project.name).machine == "elsewhere"
    leases.check()  # what this process does next has nothing to do with it


def generations_step(report) -> None:
    from bootstrap.progress import Progress

    report(Progress("train", 1, 10, "steps"))
    time.sleep(0.02)


def test_the_doctor_finds_a_stale_lease_and_removes_it(shared):
    project, catalog = shared
    lease_of_another_machine(catalog, timedelta(minutes=5))
    (finding,) = [one for one in doctor.examine(project.workspace) if "elsewhere" in one.what]
    assert finding.repair is not None
    finding.repair()
    assert find(catalog, project.name) is None
