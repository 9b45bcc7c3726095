"""The pages without a browser: what they say when there is nothing, too much, or something wrong."""

import shutil
from pathlib import Path

import pytest
from browser import populate
from streamlit.testing.v1 import AppTest

from bootstrap.catalog import generations
from bootstrap.project import Project
from review_app.components.markup import plain
from review_app.server import SCRIPT
from review_app.workspace import catalog_of


def app() -> AppTest:
    return AppTest.from_file(str(SCRIPT), default_timeout=60).run()


def page(name: str) -> AppTest:
    """One page alone, for AppTest cannot change to pages that are functions."""

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
    assert not (tmp_path / "not-there").exists()  # looking makes nothing


@pytest.mark.parametrize("name", ["review", "grid", "generations"])
def test_a_project_without_a_generation(made: Project, name: str) -> None:
    said = texts(page(name))
    assert {"review": "Nothing to review yet", "grid": "No candidates yet"}.get(
        name, "first generation"
    ) in said


def test_review_counts(made: Project) -> None:
    populate.add_generation(made, 3)
    ran = page("review")
    assert not ran.exception
    assert [one.proto.shortcut for one in ran.button] == ["left", "u", "right", "x", "ctrl+z", "a"]


def test_one_undo_takes_back_one_verdict_even_when_two_buttons_heard_the_key(made: Project) -> None:
    first, second, third = populate.add_generation(made, 3)
    ran = page("review")
    for one in (first, second):
        ran = ran.button(key=f"accept-{one}").click().run()
    ran.button(key=f"undo-{third}").click()
    ran.button(key=f"undo-key-{third}").click()
    ran.run()
    assert populate.verdicts(made) == {first: "accept", second: "undecided", third: "undecided"}


def test_verdicts_need_no_readable_settings(made: Project) -> None:
    first, second = populate.add_generation(made, 2)
    made.toml.write_text("no toml [", "utf-8")
    page("review").button(key=f"accept-{first}").click().run()
    assert populate.verdicts(made) == {first: "accept", second: "undecided"}


def test_wrong_settings_are_told_on_the_generations_page(made: Project) -> None:
    made.toml.write_text("no toml [", "utf-8")
    assert plain("no valid TOML") in texts(page("generations"))


def test_a_failed_generation_says_why_and_can_be_tried_again(made: Project) -> None:
    catalog = catalog_of(made)
    generations.begin(catalog, made.name)
    generations.set_state(catalog, made.name, 1, "failed", "the disk is full")
    ran = page("generations")
    assert "Generation 1 failed" in texts(ran)
    assert "the disk is full" in texts(ran)
    assert ran.button(key="start").label == "Try again"


def test_growing_needs_picks(made: Project) -> None:
    (only,) = populate.add_generation(made, 1)
    assert page("generations").button(key="grow").disabled
    page("review").button(key=f"accept-{only}").click().run()
    assert not page("generations").button(key="grow").disabled


def test_grow_and_start(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(
        "review_app.starting.start", lambda project, token, patience: started.append(project.name)
    )
    (only,) = populate.add_generation(made, 1)
    page("review").button(key=f"accept-{only}").click().run()
    page("generations").button(key="grow").click().run()
    assert started == ["badge"]
    assert generations.statuses(catalog_of(made), made.name)[0].state == "grown"
    assert len(list(made.dataset_folder.glob("*.png"))) == 1


def test_a_growth_that_fails_starts_nothing(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(
        "review_app.starting.start", lambda project, token, patience: started.append(project.name)
    )
    (only,) = populate.add_generation(made, 1)
    page("review").button(key=f"accept-{only}").click().run()
    shutil.rmtree(made.folder / "generation-01" / "candidates")
    ran = page("generations").button(key="grow").click().run()
    assert started == []
    assert ran.error
