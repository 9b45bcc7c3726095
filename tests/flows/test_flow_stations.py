"""The flow of one generation and the nightly round, without Prefect's engine around them."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from making import bring

from bootstrap.catalog import Catalog, generations, picks, verdicts
from bootstrap.catalog.candidates import candidates
from bootstrap.catalog.states import Verdict
from bootstrap.errors import UserError
from bootstrap.project import editing, running
from bootstrap.project.projects import Project
from flows import bootstrap as flow_module
from flows import drawing, limits, reports
from flows import nightly as nightly_module
from flows.bootstrap import bootstrap
from flows.enough import enough
from flows.nightly import NightFailed, NightStep, next_step, nightly
from flows.one_generation import AT_DEADLINE, can_pass
from flows.reviewed import reviewed

_TASKS = [
    (flow_module, "train"), (drawing, "plan_drawing"), (drawing, "draw_shard"), (flow_module, "curate"),
    (flow_module, "publish"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def without_engine(monkeypatch: pytest.MonkeyPatch, fake_stations: None) -> Iterator[dict[str, Any]]:
    """Call the tasks as plain functions; yield the artifacts that the flows create."""
    from prefect.logging import disable_run_logger

    artifacts: dict[str, Any] = {}
    for module, name in _TASKS:
        monkeypatch.setattr(module, name, getattr(module, name).fn)
    monkeypatch.setattr(limits, "held", lambda *_: nullcontext())
    monkeypatch.setattr(reports, "report_generation", lambda summary: artifacts.update(generation=summary))
    monkeypatch.setattr(reports, "report_night", lambda rows, _: artifacts.update(night=rows))
    with disable_run_logger():
        yield artifacts


def run(project: Project) -> Any:
    return bootstrap.fn(str(project.workspace.folder), project.name)


def last(catalog: Catalog, project: Project) -> generations.GenerationStatus:
    return generations.statuses(catalog, project.name)[-1]


def order(project: Project, failure: str) -> None:
    (project.folder / "fake-fail").write_text(failure)


def test_it_ends_with_candidates_published(project: Project, catalog: Catalog) -> None:
    summary = run(project)
    assert (summary["project"], summary["number"], summary["drawn"], summary["published"]) == (
        "demo",
        1,
        4,
        4,
    )
    assert summary["sheet"].endswith("contact-sheet.png")
    assert last(catalog, project).state == "published"


def test_a_second_run_goes_on_with_the_same_generation(project: Project, catalog: Catalog) -> None:
    assert run(project) == run(project)
    assert last(catalog, project).number == 1


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("train:UserError:network_dim is odd", "network_dim is odd"),
        ("draw:ZeroDivisionError:oops", "ZeroDivisionError: oops"),
        (
            "curate:OSError:28",
            "a file: the disk is full; free some space and run it again, finished work is kept",
        ),
        ("publish:ValueError:two\nlines", "ValueError: two lines"),
    ],
)
def test_a_failing_station_is_recorded_in_the_catalog(
    project: Project, catalog: Catalog, failure: str, message: str
) -> None:
    order(project, failure)
    with pytest.raises((UserError, ZeroDivisionError, OSError, ValueError)):
        run(project)
    assert (last(catalog, project).state, last(catalog, project).message) == ("failed", message)
    (project.folder / "fake-fail").unlink()
    run(project)
    assert (last(catalog, project).state, last(catalog, project).number) == ("published", 1)


def test_ctrl_c_cancels(project: Project, catalog: Catalog) -> None:
    order(project, "draw:KeyboardInterrupt:")
    assert run(project).is_cancelled()
    assert last(catalog, project).state == "cancelled"
    assert not running.is_running(project)


def test_a_project_at_work_is_left_alone(project: Project, catalog: Catalog) -> None:
    run(project)
    with running.exclusively(project), pytest.raises(UserError, match="running already"):
        run(project)
    assert last(catalog, project).state == "published"


def test_a_wrong_setting_changes_nothing(project: Project, catalog: Catalog) -> None:
    project.toml.write_text(project.toml.read_text().replace("repeats", "repets"))
    with pytest.raises(UserError, match="repets"):
        run(project)
    assert generations.statuses(catalog, project.name) == []


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOSPC, "full"), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (PermissionError(errno.EACCES, "no"), False),
        (UserError("network_dim: odd"), False),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("shapes differ"), False),
        (None, False),
    ],
)
def test_only_temporary_errors_are_retried(error: Exception | None, passes: bool) -> None:
    assert can_pass(error) is passes


def decide(catalog: Catalog, project: Project, verdict: str, count: int = 4) -> None:
    ids = [candidate.id for candidate in candidates(catalog, project.name, verdict="undecided")][:count]
    verdicts.decide(catalog, project.name, ids, Verdict(verdict), "tester")


def test_the_night_waits_for_the_reviewer(project: Project, catalog: Catalog) -> None:
    assert next_step(project, catalog).run
    run(project)
    waiting = next_step(project, catalog)
    assert (waiting.grow, waiting.run) == (False, False)
    assert waiting.reason == "4 candidates of generation 1 wait for review"
    decide(catalog, project, "accept", 1)
    assert not next_step(project, catalog).run
    decide(catalog, project, "reject")
    ready = next_step(project, catalog, min_picks=1)
    assert (ready.grow, ready.run) == (True, True)
    bring(project, catalog, 1, "grown")
    assert (next_step(project, catalog).grow, next_step(project, catalog).run) == (False, True)


def test_if_nothing_was_accepted_more_is_drawn(
    project: Project, catalog: Catalog, subflows: None, without_engine: dict[str, Any]
) -> None:
    run(project)
    decide(catalog, project, "reject")
    assert next_step(project, catalog) == NightStep(
        False, True, "generation 1 is reviewed, but no candidate was accepted: more is drawn", more=True
    )
    nightly.fn(str(project.workspace.folder))
    assert [row["outcome"] for row in without_engine["night"]] == ["done"]
    now = last(catalog, project)
    assert (now.number, now.state, now.candidates, now.rejected, now.undecided) == (1, "published", 8, 4, 4)


def test_with_too_few_picks_more_is_drawn_until_there_are_enough(
    project: Project, catalog: Catalog, subflows: None, without_engine: dict[str, Any]
) -> None:
    folder = str(project.workspace.folder)
    run(project)
    decide(catalog, project, "accept", 2)
    decide(catalog, project, "reject")
    nightly.fn(folder, min_picks=3)
    assert without_engine["night"][0]["detail"] == (
        "generation 1 is reviewed, but has only 2 of 3 picks: more is drawn; "
        "generation 1: 8 candidates published"
    )
    assert (last(catalog, project).number, last(catalog, project).undecided) == (1, 4)
    decide(catalog, project, "accept", 1)
    decide(catalog, project, "reject")
    reviewed.fn(folder, "demo", min_picks=3)
    assert [(status.number, status.state) for status in generations.statuses(catalog, "demo")] == [
        (1, "grown"), (2, "published"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("accepted", "grow", "reason"),
    [
        (
            0,
            False,
            "generation 1 is reviewed, and of 16 candidates none was accepted: look at its recipes and training",
        ),
        (1, True, "generation 1 is reviewed, and of 16 candidates only 1 became picks: no more is drawn"),
    ],
)
def test_more_is_not_drawn_without_end(
    project: Project,
    catalog: Catalog,
    subflows: None,
    without_engine: dict[str, Any],
    accepted: int,
    grow: bool,
    reason: str,
) -> None:
    first, *others = range(
        1, 1 + len(project.settings.recipe)
    )  # counts that add up to the 4 pictures of a fake run
    counts = {first: 4 - len(others)} | dict.fromkeys(others, 1)
    editing.set_values(project, [f"recipe[{number}].count={count}" for number, count in counts.items()])
    project = project.workspace.project(project.name)
    run(project)
    for _ in range(3):
        decide(catalog, project, "reject")
        assert next_step(project, catalog).more
        nightly.fn(str(project.workspace.folder))
    decide(catalog, project, "accept", accepted)
    decide(catalog, project, "reject")
    assert next_step(project, catalog) == NightStep(grow, grow, reason)


def test_by_default_four_picks_are_enough(project: Project, catalog: Catalog) -> None:
    run(project)
    decide(catalog, project, "accept", 3)
    decide(catalog, project, "reject")
    assert next_step(project, catalog).more
    rejected = [candidate.id for candidate in candidates(catalog, project.name, verdict="reject")]
    verdicts.decide(catalog, project.name, rejected, Verdict.ACCEPT, "tester")
    assert next_step(project, catalog) == NightStep(True, True, "generation 1 is reviewed")


def test_a_pick_taken_back_is_reason_enough_for_a_training() -> None:
    assert enough(picks.Changes(to_add=[], to_remove=["3f2a"]), 4)
    assert not enough(picks.Changes(to_add=[], to_remove=[]), 1)


def test_the_project_that_waited_longest_comes_first(
    new_project: Callable[[str], Project], catalog: Catalog
) -> None:
    for name in ("b", "a"):
        run(new_project(name))
    new_project("never")
    place = new_project("also never").workspace
    assert nightly_module.in_turn(place) == ["also never", "never", "b", "a"]


def test_the_night_continues_while_few_candidates_wait(project: Project, catalog: Catalog) -> None:
    run(project)
    decide(catalog, project, "accept", 2)
    assert not next_step(project, catalog, max_waiting=1).run
    assert next_step(project, catalog, max_waiting=2, min_picks=2) == NightStep(
        True, True, "generation 1 is reviewed"
    )


def test_the_deadline_stops_a_station_and_the_next_run_goes_on(project: Project, catalog: Catalog) -> None:
    (project.folder / "fake-seconds").write_text("4")
    stopped = bootstrap.fn(str(project.workspace.folder), project.name, time.time() + 0.5)
    assert stopped.is_cancelled()
    assert (last(catalog, project).state, last(catalog, project).message) == ("cancelled", AT_DEADLINE)
    assert candidates(catalog, project.name, state=None) == []
    (project.folder / "fake-seconds").unlink()
    assert run(project)["published"] == 4


@pytest.mark.parametrize("state", ["failed", "cancelled", "training"])
def test_the_night_finishes_an_unfinished_generation(project: Project, catalog: Catalog, state: str) -> None:
    run(project)
    bring(project, catalog, 1, state)
    assert next_step(project, catalog) == NightStep(False, True, "generation 1 is unfinished")
    with running.exclusively(project):
        assert not next_step(project, catalog).run


class _State:
    """The result of a subflow with return_state=True."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._error: Exception | None = None
        self._result: Any = None
        try:
            self._result = call()
        except Exception as error:
            self._error = error

    def is_cancelled(self) -> bool:
        return self._error is None and not isinstance(self._result, dict)

    @property
    def message(self) -> str:
        return str(self._result.message)

    def result(self) -> Any:
        if self._error:
            raise self._error
        return self._result


@pytest.fixture
def subflows(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(workspace: str, name: str, until: float | None, more: bool, return_state: bool) -> _State:
        assert return_state
        return _State(lambda: bootstrap.fn(workspace, name, until, more))

    monkeypatch.setattr(nightly_module, "bootstrap", call)


def test_a_failing_project_does_not_stop_the_night(
    new_project: Callable[[str], Project], catalog: Catalog, subflows: None, without_engine: dict[str, Any]
) -> None:
    names = ["a broken toml", "b fails", "c good", "d waits"]
    projects = {name: new_project(name) for name in names}
    projects["a broken toml"].toml.write_text("[project")
    order(projects["b fails"], "train:ValueError:oops | no")
    run(projects["d waits"])
    with pytest.raises(NightFailed, match="2 of 4 projects failed: a broken toml, b fails"):
        nightly.fn(str(projects["c good"].workspace.folder))
    rows = without_engine["night"]
    assert [row["outcome"] for row in rows] == ["failed", "failed", "done", "skipped"]
    assert rows[2]["detail"] == "its first generation; generation 1: 4 candidates published"
    assert last(catalog, projects["c good"]).state == "published"
    assert "| b fails | failed | ValueError: oops / no |" in reports.night_markdown(rows)


def test_the_night_reports_what_is_no_project(tmp_path: Any, without_engine: dict[str, Any]) -> None:
    for name in (".sid-partial-plum", "a..b", "empty"):
        (tmp_path / "projects" / name).mkdir(parents=True)
        (tmp_path / "projects" / name / "project.toml").write_text("") if name != "empty" else None
    nightly.fn(str(tmp_path))  # and does not fail
    rows = without_engine["night"]
    assert [(row["project"], row["outcome"]) for row in rows] == [
        ("'.sid-partial-plum'", "skipped"),
        ("'a..b'", "skipped"),
        ("'empty'", "skipped"),
    ]
    assert "no project: it is empty; " in reports.night_markdown(rows)


def test_ctrl_c_ends_the_night(
    new_project: Callable[[str], Project], subflows: None, without_engine: dict[str, Any]
) -> None:
    first, _ = new_project("a"), new_project("b")
    order(first, "draw:KeyboardInterrupt:")
    assert nightly.fn(str(first.workspace.folder)).is_cancelled()
    assert [row["outcome"] for row in without_engine["night"]] == ["cancelled"]


def test_after_the_deadline_no_project_is_begun(
    new_project: Callable[[str], Project],
    subflows: None,
    without_engine: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, _ = new_project("a"), new_project("b")
    (first.folder / "fake-seconds").write_text("4")
    soon = lambda *_: datetime.fromtimestamp(time.time() + 1, UTC)  # noqa: E731
    monkeypatch.setattr(nightly_module, "next_time", soon)
    rows = nightly.fn(str(first.workspace.folder), deadline="07:00")
    assert [(row["outcome"], row["detail"]) for row in rows] == [
        ("cancelled", AT_DEADLINE),
        ("skipped", "the deadline was reached before its turn"),
    ]


def test_no_project_is_begun_on_a_full_disk(
    project: Project, catalog: Catalog, subflows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly_module, "DISK_FLOOR", 2**60)
    with pytest.raises(NightFailed):
        nightly.fn(str(project.workspace.folder))
    assert generations.statuses(catalog, project.name) == []


def test_a_night_without_projects(tmp_path: Any, without_engine: dict[str, Any]) -> None:
    assert nightly.fn(str(tmp_path)) == []
    assert "no projects" in reports.night_markdown([])
