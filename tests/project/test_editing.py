"""Changing settings from the app's forms: comments stay, what does not fit is refused before anything is written."""

import tomllib

import pytest

from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.project import editing
from bootstrap.project.projects import Project
from bootstrap.prompting import token_counts


def reread(project: Project) -> Project:
    return project.workspace.project(project.name)


def test_values_change_and_comments_stay(project: Project) -> None:
    comments = [line.split("#", 1)[1] for line in project.toml.read_text().splitlines() if "#" in line]
    edit = editing.edited(
        project,
        {"training.repeats": 30, "drawing.width": 96, "recipe[2].tags": ["red apple"], "recipe[1].count": 5},
    )
    assert edit.project.settings.recipe[0].count == 5
    assert reread(project).settings.recipe[0].count == 24  # nothing is written yet
    edit.save()
    saved = reread(project)
    assert (saved.settings.training.repeats, saved.settings.drawing.width) == (30, 96)
    assert saved.settings.recipe[1].tags == ["red apple"]
    text = saved.toml.read_text()
    assert [line.split("#", 1)[1] for line in text.splitlines() if "#" in line] == comments
    assert text.index('tags = ["red apple"]') < text.index('# kind = "add"')  # not below the examples


def test_recipes_come_and_go_and_examples_stay(project: Project) -> None:
    aspects = [{"name": "pose", "tags": ["sitting, on a chair", 'a "b"'], "quota": 2}]
    editing.with_recipe(project, {"kind": "bootstrap", "aspects": aspects, "count": 4}).save()
    editing.with_recipe(project, {"kind": "add", "tags": ["hat"]}).save()
    assert [recipe.kind for recipe in reread(project).settings.recipe] == [
        "vary",
        "eliminate",
        "bootstrap",
        "add",
    ]
    written = tomllib.loads(project.toml.read_text())["recipe"][2]
    assert written == {"kind": "bootstrap", "aspects": aspects, "count": 4}
    editing.without_recipe(project, 2).save()
    editing.without_recipe(project, 1).save()
    assert [recipe.kind for recipe in reread(project).settings.recipe] == ["bootstrap", "add"]
    text = project.toml.read_text()
    assert "# What to draw." in text
    assert '# by = ["blue ball", "yellow flower"]' in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: editing.edited(made, {"training.repeats": 0}), "'training.repeats'"),
        (lambda made: editing.edited(made, {"recipe[3].count": 4}), "has 2 recipes"),
        (lambda made: editing.edited(made, {"recipe.count": 4}), r"recipe\[1\]"),
        (lambda made: editing.with_recipe(made, {"kind": "add"}), r"'recipe\[3\].tags' is missing"),
        (lambda made: editing.with_recipe(made, {"kind": "add", "tags": []}), r"'recipe\[3\].tags'"),
        (lambda made: editing.without_recipe(made, 9), "has 2 recipes"),
    ],
)
def test_what_does_not_fit_is_refused(project: Project, change, message: str) -> None:
    before = project.toml.read_text()
    with pytest.raises(UserError, match=message):
        change(project)
    assert project.toml.read_text() == before


def test_the_last_recipe_cannot_go(project: Project) -> None:
    editing.without_recipe(project, 1).save()
    with pytest.raises(UserError, match="needs a recipe"):
        editing.without_recipe(project, 1)


def test_tokens_are_counted_without_the_model() -> None:
    papertown = specs.find("papertown")
    assert token_counts.count(papertown, "woman, red apple") == 4  # the comma is one
    assert token_counts.count(papertown, "") == 0
    assert token_counts.count(specs.find("nobody/nowhere"), "woman") is None
