"""The page of all projects, and the first page that a visitor sees."""

import pytest
from browser import populate
from making import bring
from streamlit.testing.v1 import AppTest

from bootstrap.catalog import generations
from bootstrap.progress import Progress
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from review_app import prefect_runs, sheets_in_making, starting, verbs
from review_app.server import SCRIPT
from review_app.urls import small_original_url
from review_app.workspace import catalog_of
from tests.review_app.test_project_pages import page, press, texts
from tests.review_app.test_starting import run_instead, wait_until


def test_all_projects_are_listed_with_what_waits_and_what_runs(made: Project) -> None:
    populate.add_generation(made, 3)
    busy = populate.make_project(made.workspace.folder, "busy")
    populate.make_project(made.workspace.folder, "a-b")
    populate.draw(busy, 1)
    bring(busy, catalog_of(busy), 1, "drawing")
    with exclusively(busy):
        tell = generations.reporter(catalog_of(busy), "busy", 1, every_seconds=0)
        tell(Progress("draw", 1, 5, "pictures", 1.0))
        ran = page("projects", of_project=False)
    said = texts(ran)
    (running,) = [one.proto.text for one in ran.get("progress")]
    assert running.startswith("**busy** · Drawing · 1 of 5 pictures")
    assert "3 pictures wait for verdicts" in said and "Ready for its first generation" in said
    assert small_original_url(made) in said and "Nothing runs" not in said
    assert [one.label for one in ran.button] == [
        "Review",
        "Open",
        "Open",
    ]  # what waits for a person comes first


def test_a_project_that_cannot_be_read_does_not_hide_the_others(made: Project) -> None:
    broken = populate.make_project(made.workspace.folder, "broken")
    broken.original.unlink()
    broken.toml.write_text("no toml [")
    ran = page("projects", of_project=False)
    assert [one.label for one in ran.button] == ["Open", "Open"]
    assert "Nothing runs, and nothing waits for its turn." in texts(ran)


@pytest.mark.parametrize(
    ("several", "address", "first"), [(True, "", True), (True, "badge", False), (False, "", False)]
)
def test_the_first_page_is_all_projects_unless_one_is_meant(
    made: Project, several: bool, address: str, first: bool
) -> None:
    if several:
        populate.make_project(made.workspace.folder, "crown")
    ran = AppTest.from_file(str(SCRIPT), default_timeout=60)
    if address:
        ran.query_params["project"] = address
    ran.run()
    assert not ran.exception
    assert ("Projects</h1>" in "".join(str(one.value) for one in ran.get("html"))) is first


def test_runs_that_wait_in_prefect_are_in_the_queue(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {
            "parameters": {"workspace": str(made.workspace.folder), "project": "badge"},
            "expected_start_time": None,
        },
        {"parameters": {"workspace": "/elsewhere", "project": "badge"}, "expected_start_time": "soon"},
    ]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert prefect_runs.waiting() == []  # nobody answers
    monkeypatch.setattr(prefect_runs.http, "post_json", lambda *_: rows)
    assert [one.project for one in prefect_runs.waiting()] == ["badge"]
    assert "**badge** · waits for its turn" in texts(page("projects", of_project=False))
    monkeypatch.setattr(prefect_runs.http, "post_json", lambda *_: {"detail": "another version"})
    assert prefect_runs.waiting() == []


def test_more_is_drawn_from_the_app(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    populate.add_generation(made, 1)
    commands = run_instead(monkeypatch, "pass")
    press(page("generations"), "Draw more")
    started = starting.latest(made)
    assert started is not None and started.process is not None
    started.process.wait(30)
    assert commands[0][-3:] == ["run", "badge", "--more"]


def test_a_sheet_is_ordered_from_the_app(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from bootstrap.catalog import trainings

    populate.add_generation(made, 1)
    assert "Draw a sheet" not in texts(page("generations"))  # there is no LoRA
    trainings.begin(catalog_of(made), "badge", 1, "a" * 64, {}, [{"picture": "a", "seen": 0}])
    trainings.finish(catalog_of(made), "badge", "a" * 64)
    ordered: list[list[str]] = []

    def run_verb(_: object, arguments: list[str]) -> tuple[str, str]:
        ordered.append(arguments)
        return "", "axis strength: 9.0 is not from 0 to 2"

    monkeypatch.setattr(verbs, "run_verb", run_verb)
    ran = page("generations")
    ran.text_input(key="sheet x strength 1 badge").set_value("0, 9")
    ran.text_input(key="sheet y snapshot 1 badge").set_value("1").run()
    ran = press(ran, "Draw the sheet")
    order = sheets_in_making.latest(made)
    assert order is not None
    wait_until(lambda: order.ended)
    assert ordered == [["sheet", "--generation=1", "--x=strength=0,9", "--y=snapshot=1", "--", "badge"]]
    assert "9\\.0 is not from 0 to 2" in texts(ran.run())
