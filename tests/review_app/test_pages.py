"""The pages without a browser: what they show when there is nothing, too much, or something wrong."""

import shutil
from pathlib import Path

import pytest
from browser import populate
from making import bring
from streamlit.testing.v1 import AppTest

from bootstrap.catalog import generations, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.project.projects import Project
from review_app.components.markup import plain
from review_app.server import SCRIPT
from review_app.workspace import _opened, catalog_of
from tests.test_machine_problems import damage


def app() -> AppTest:
    return AppTest.from_file(str(SCRIPT), default_timeout=60).run()


def page(name: str) -> AppTest:
    """Run one page alone, because AppTest cannot switch to pages that are functions."""

    def script(name: str) -> None:
        import importlib

        from review_app.workspace import workspace

        shown = workspace().project("badge")
        importlib.import_module(f"review_app.pages.{name}").show(shown)

    return AppTest.from_function(script, kwargs={"name": name}, default_timeout=60).run()


def texts(ran: AppTest) -> str:
    assert not ran.exception, ran.exception
    elements = [*ran.markdown, *ran.subheader, *ran.error, *ran.info, *ran.caption, *ran.code]
    return "\n".join(str(one.value) for one in elements)


def test_no_project_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path / "not-there"))
    ran = app()
    assert "No project yet" in texts(ran)
    assert "sid new NAME" in texts(ran)
    assert not (tmp_path / "not-there").exists()  # looking creates nothing


def test_what_is_no_project_is_a_quiet_note(made: Project) -> None:
    for name in (".sid-partial-plum", "a..b"):
        (made.workspace.projects_folder / name).mkdir()
        (made.workspace.projects_folder / name / "project.toml").write_text("")
    ran = app()
    said = "\n".join(str(one.value) for one in ran.sidebar.caption)
    assert (
        plain("'a..b'") in said
        and plain("'.sid-partial-plum'") in said
        and plain("sid does not take this name") in said
    )
    assert not ran.exception and not ran.error
    assert "badge" in texts(ran) or ran.session_state["project"] == "badge"


@pytest.mark.parametrize("name", ["review", "grid", "generations"])
def test_a_project_without_a_generation(made: Project, name: str) -> None:
    said = texts(page(name))
    assert {"review": "Nothing to review yet", "grid": "No candidates yet"}.get(
        name, "first generation"
    ) in said


def test_verdicts_need_no_readable_settings(made: Project) -> None:
    populate.add_generation(made, 2)
    made.toml.write_text("no toml [", "utf-8")
    ran = page("review")
    assert not ran.exception
    assert not ran.error


def test_a_damaged_catalog_is_told_in_a_line(made: Project) -> None:
    populate.add_generation(made, 2)
    damage(made)
    _opened.cache_clear()
    assert plain("catalog: its file is damaged; move it away") in texts(app())


def test_invalid_settings_are_reported_on_the_generations_page(made: Project) -> None:
    made.toml.write_text("no toml [", "utf-8")
    assert plain("not valid TOML") in texts(page("generations"))


def test_a_failed_generation_says_why_and_can_be_tried_again(made: Project) -> None:
    catalog = catalog_of(made)
    generations.begin(catalog, made.name)
    bring(made, catalog, 1, "failed", "the disk is full")
    ran = page("generations")
    assert "Generation 1 failed" in texts(ran)
    assert "the disk is full" in texts(ran)
    assert ran.button(key="start").label == "Try again"


def test_growing_needs_picks(made: Project) -> None:
    (only,) = populate.add_generation(made, 1)
    assert page("generations").button(key="grow").disabled
    verdicts.decide(catalog_of(made), made.name, [only], Verdict.ACCEPT, "ann")
    assert not page("generations").button(key="grow").disabled


def test_grow_and_start(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(
        "review_app.starting.start", lambda project, token, patience, more: started.append(project.name)
    )
    (only,) = populate.add_generation(made, 1)
    verdicts.decide(catalog_of(made), made.name, [only], Verdict.ACCEPT, "ann")
    page("generations").button(key="grow").click().run()
    assert started == ["badge"]
    assert generations.statuses(catalog_of(made), made.name)[0].state == "grown"
    assert len(list(made.dataset_folder.glob("*.png"))) == 1


def test_a_growth_that_fails_starts_nothing(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(
        "review_app.starting.start", lambda project, token, patience, more: started.append(project.name)
    )
    (only,) = populate.add_generation(made, 1)
    verdicts.decide(catalog_of(made), made.name, [only], Verdict.ACCEPT, "ann")
    shutil.rmtree(made.folder / "generation-01" / "candidates")
    ran = page("generations").button(key="grow").click().run()
    assert started == []
    assert ran.error
