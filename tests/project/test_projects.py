"""A project is created whole or not at all, and its settings are found where they belong."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import CAPTION, make_project, scene

from bootstrap import images
from bootstrap.errors import UserError
from bootstrap.models.specs import content_hash
from bootstrap.project import editing, projects
from bootstrap.project.projects import Project, Workspace


def reopened(made: Project) -> Project:
    return made.workspace.project(made.name)


def test_a_project_has_its_original_and_its_settings(tmp_path):
    made = make_project(tmp_path)
    assert made.folder == tmp_path / "workspace/projects/apple"
    assert sorted(path.name for path in made.folder.iterdir()) == [
        ".identity",
        "original.png",
        "project.toml",
    ]
    assert images.open_picture(made.original).tobytes() == scene(0).tobytes()
    assert made.settings.project.caption == CAPTION
    assert made.base_model.name == "papertown"
    assert made.workspace.project_names() == ["apple"]
    assert reopened(made) == made


def test_the_base_models_own_defaults_fill_what_the_file_leaves_out(tmp_path):
    made = make_project(tmp_path)
    made.toml.write_text('[project]\ncaption = "woman, apple"\n[training]\nepochs = 4\n', "utf-8")
    training = reopened(made).settings.training
    assert training.epochs == 4
    assert training.network_dim == 32  # papertown's, not the method's 64
    assert reopened(made).settings.drawing.sampler == "DDIM"


def test_another_prediction_type_than_the_base_models_own_makes_another_model_of_it(tmp_path):
    made = make_project(tmp_path)
    own = made.base_model
    for prediction_type, same in (("v_prediction", True), ("epsilon", False)):
        editing.set_values(made, [f"project.prediction_type={prediction_type}"])
        model = reopened(made).base_model
        assert (model == own) is same
        assert (content_hash(model) == content_hash(own)) is same
    with pytest.raises(UserError, match="prediction_type"):
        editing.set_values(made, ["project.prediction_type=v"])


def test_another_base_model_does_not_get_papertowns_defaults(tmp_path):
    made = make_project(tmp_path)
    made.toml.write_text('[project]\ncaption = "woman, apple"\nbase_model = "someone/sd15"\n', "utf-8")
    settings, base = reopened(made).settings_and_base
    assert (base.kind, base.source) == ("hub", "someone/sd15")
    assert settings.training.network_dim == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[project", "not valid TOML"),
        ("[project]\ncaption = 5", "'project.caption'"),
        ("[project]\ncaption = 'x, y'\nbase_model = 5", "must be a text in quotes"),
        ("[project]\ncaption = 'x, y'\nbase_model = ''", "its name is empty"),
        ("project = 5", "'project' must be a table"),
        ("[project]\ncaption = 'x, y'\n[[training]]\n", "'training' must be a table"),
        ("", "'project' is missing"),
        ("[project]\ncaption = 'x, y'\nbase_model = 'model.ckpt'", "only .safetensors is read"),
    ],
)
def test_wrong_settings_are_told_in_one_line(tmp_path, text, message):
    made = make_project(tmp_path)
    made.toml.write_text(text, "utf-8")
    with pytest.raises(UserError) as refused:
        _ = reopened(made).settings
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_settings_that_are_not_utf8_are_told(tmp_path):
    made = make_project(tmp_path)
    made.toml.write_bytes(b"[project]\ncaption = '\xff'\n")
    with pytest.raises(UserError, match="UTF-8"):
        _ = reopened(made).settings


def test_a_project_that_is_taken_is_left_alone(tmp_path):
    made = make_project(tmp_path)
    text = made.toml.read_text("utf-8")
    with pytest.raises(UserError, match="already exists"):
        projects.create(made.workspace, "apple", made.original, "other, tags")
    assert made.toml.read_text("utf-8") == text


def test_recipes_can_be_given(tmp_path):
    image = tmp_path / "p.png"
    scene(0).save(image)
    recipes = '\n[[recipe]]\nkind = "add"\ntags = ["hat"]\n'
    made = projects.create(Workspace(tmp_path), "x", image, "woman, apple", recipes=recipes)
    assert [recipe.kind for recipe in made.settings.recipe] == ["add"]
    with pytest.raises(UserError, match="unknown kind"):
        projects.create(Workspace(tmp_path), "y", image, "woman, apple", recipes='[[recipe]]\nkind = "ad"\n')
    assert Workspace(tmp_path).project_names() == ["x"]


def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projects, "write_text", full_disk)
    with pytest.raises(UserError, match="No space left"):
        make_project(tmp_path)
    assert [path.name for path in (tmp_path / "workspace/projects").iterdir()] == [".new.lock"]


def test_what_a_killed_process_left_does_not_disturb(tmp_path):
    left = tmp_path / "workspace/projects/.sid-partial-apple"
    left.mkdir(parents=True)
    (left / "original.png").write_bytes(b"half")
    made = make_project(tmp_path)
    assert not left.exists()
    assert made.workspace.project_names() == ["apple"]


@given(st.text(max_size=70))
def test_any_name_is_refused_or_stays_inside_the_workspace(name):
    try:
        projects.check_name(name)
    except UserError:
        return
    workspace = Workspace(Path("/w"))
    folder = Path(os.path.normpath(Project(workspace, name).folder))
    assert folder.parent == workspace.projects_folder and folder.name == name
    assert name.isascii() and "\n" not in name


@pytest.mark.parametrize("name", ["apple", "Apple 2", "a", "a.b", "a-b_c", "7", "a" * 64])
def test_good_names(name):
    assert projects.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "/a", "-a", ".a", "a.", "a ", " a", "a..b", "a\n", "ä", "a" * 65],
)
def test_bad_names(name):
    with pytest.raises(UserError, match="project name"):
        projects.check_name(name)


def test_the_workspace_comes_from_the_option_the_variable_or_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Workspace.locate().folder == tmp_path / "sid-workspace"
    monkeypatch.setenv("SID_WORKSPACE", "elsewhere")
    assert Workspace.locate().folder == tmp_path / "elsewhere"
    assert Workspace.locate("given").folder == tmp_path / "given"
    assert Workspace.locate().catalog_url == f"sqlite:///{tmp_path / 'elsewhere/catalog.sqlite'}"
    monkeypatch.setenv("SID_CATALOG_URL", "postgresql://somewhere/sid")
    assert Workspace.locate().catalog_url == "postgresql://somewhere/sid"


def test_generation_folders_sort_by_number(tmp_path):
    made = Project(Workspace(tmp_path), "x")
    names = [made.generation_folder(number).name for number in (1, 2, 10, 99)]
    assert names == sorted(names) == ["generation-01", "generation-02", "generation-10", "generation-99"]
