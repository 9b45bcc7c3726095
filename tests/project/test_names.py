"""Which names a new project can have, and what else lies in the projects' folder."""

import os
from pathlib import Path

import making
import pytest

from bootstrap.errors import UserError
from bootstrap.project import names
from bootstrap.project.projects import Workspace


@pytest.mark.parametrize("name", ["con", "NUL", "Aux", "prn", "COM1", "lpt9", "nul.txt", "con .a.b"])
def test_names_that_windows_reserves_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="Windows reserves it"):
        making.make_project(tmp_path, name)
    assert not (tmp_path / "workspace").exists()


def test_a_project_that_has_such_a_name_already_can_be_opened(tmp_path: Path) -> None:
    made = making.make_project(tmp_path, "cons")
    made.folder.rename(made.folder.with_name("con"))
    assert made.workspace.project("con").settings.project.caption == making.CAPTION


def test_a_name_that_differs_in_capitals_only_is_refused(tmp_path: Path) -> None:
    made = making.make_project(tmp_path, "apple")
    with pytest.raises(UserError, match="there is 'apple' already") as refused:
        making.make_project(tmp_path, "APPLE")
    assert "\n" not in str(refused.value)
    assert made.workspace.project_names() == ["apple"]


def test_an_empty_folder_of_the_name_is_used_and_nothing_else_is(tmp_path: Path) -> None:
    folder = tmp_path / "workspace/projects"
    (folder / "apple").mkdir(parents=True)
    made = making.make_project(tmp_path, "apple")
    assert made.settings.project.caption == making.CAPTION
    (folder / "pear").mkdir()
    (folder / "pear" / "letter.txt").write_text("dear")
    (folder / "plum").symlink_to("nowhere")
    (folder / "fig").write_text("a file")
    for name in ("pear", "plum", "fig"):
        with pytest.raises(UserError, match="is there already and is no project"):
            making.make_project(tmp_path, name)
    assert (folder / "pear" / "letter.txt").read_text() == "dear"


def test_a_new_project_removes_what_an_interrupted_one_left(tmp_path: Path) -> None:
    left = tmp_path / "workspace/projects/.sid-partial-0123abcd-xyz"
    left.mkdir(parents=True)
    (left / "original.png").write_bytes(b"half")
    os.utime(left / "original.png", (0, 0))
    os.utime(left, (0, 0))  # of another machine, and still for long
    making.make_project(tmp_path)
    assert not left.exists()


def test_strays_are_named_with_their_reason(tmp_path: Path) -> None:
    folder = tmp_path / "workspace/projects"
    workspace = Workspace(tmp_path / "workspace")
    assert workspace.strays() == []
    making.make_project(tmp_path, "apple")
    for name in (".sid-partial-plum", "a..b", "empty", "bare", "odd"):
        (folder / name).mkdir()
    (folder / "a..b" / names.SETTINGS).write_text("")
    (folder / "bare" / "letter.txt").write_text("dear")
    (folder / "odd" / names.SETTINGS).mkdir()
    (folder / "file").write_text("x")
    (folder / "loop").symlink_to("loop")
    for hidden in (".DS_Store", "Thumbs.db"):
        (folder / hidden).write_text("x")
    reasons = {stray.path.name: stray.what for stray in workspace.strays()}
    assert reasons == {
        ".sid-partial-plum": "an interrupted `sid new` has left it",
        "a..b": "sid does not take this name",
        "empty": "it is empty",
        "bare": "it has no project.toml",
        "odd": "its project.toml is no file that can be read",
        "file": "it is not a folder",
        "loop": "it is a link that leads nowhere",
    }
    assert workspace.project_names() == ["apple"]
    with pytest.raises(UserError, match="is no project: it has no project"):
        workspace.project("bare")
