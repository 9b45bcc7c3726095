"""One bad neighbour stops nobody: what is odd in the projects' folder is told, and the other projects go on."""

import os
from collections.abc import Callable
from pathlib import Path

import making
import pytest

from bootstrap.project.projects import Workspace
from tests.sid_command import in_this_process

Sid = Callable[..., tuple[int, str, str]]
ODD = [".sid-partial-plum", "a..b", "empty", "without", "loop", "file"]


@pytest.fixture
def sid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sid:
    """Run the command line in this process, in a folder with a picture: sid("status") -> (code, output, errors)."""
    monkeypatch.chdir(tmp_path)
    making.scene(0).save("good.png")

    return in_this_process(monkeypatch, capsys)


@pytest.fixture
def odd(sid: Sid) -> Workspace:
    """A workspace with two good projects, two damaged ones, and much else in the projects' folder."""
    for name in ("apple", "broken", "locked", "pear"):
        assert sid("new", name, "--image", "good.png", "--caption", "woman, apple")[0] == 0
    workspace = Workspace.locate()
    folder = workspace.projects_folder
    (folder / "broken" / "project.toml").write_text("no toml [")
    (folder / "locked" / ".generation.lock").mkdir()
    (folder / "locked" / "original.png").write_bytes(b"no picture")
    for name in ODD[:4]:
        (folder / name).mkdir()
    (folder / "a..b" / "project.toml").write_text("")
    (folder / "without" / "letter.txt").write_text("dear")
    (folder / ".sid-partial-plum" / "project.toml").write_text("half")
    (folder / "loop").symlink_to("loop")
    (folder / "file").write_text("x")
    return workspace


def test_status_shows_the_others_and_what_is_odd_at_the_end(sid: Sid, odd: Workspace) -> None:
    code, out, err = sid("status")
    assert (code, err) == (0, "")
    projects, strays = out.split("\n\n")[1:-1], out.split("\n\n")[-1].splitlines()
    assert [part.split()[0] for part in projects] == ["apple", "broken", "locked", "pear"]
    assert "next: mend the settings" in projects[1] and "next: mend its folder" in projects[2]
    assert "next: sid run apple" in projects[0] and "next: sid run pear" in projects[3]
    assert [line.split("'")[1] for line in strays] == sorted(ODD)
    code, out, err = sid("status", "--json")
    assert code == 0 and out.startswith("[") and err.count("is no project") == len(ODD)
    assert "is no project" not in sid("status", "apple")[1]


def test_reindex_goes_on_with_the_others_and_says_who_was_left_out(sid: Sid, odd: Workspace) -> None:
    code, out, err = sid("reindex")
    assert code == 2
    projects = [line.split(":")[0] for line in out.splitlines()]
    assert projects[:4] == ["apple", "broken", "locked", "pear"] and out.count("is no project") == len(ODD)
    assert "locked: left out: project 'locked': its lock" in out
    assert err.splitlines() == ["sid: 1 of 4 projects were left out; mend them, then run `sid reindex` again"]


def test_the_doctor_looks_at_all_and_removes_only_leftovers(sid: Sid, odd: Workspace) -> None:
    more = odd.projects_folder / ".sid-partial-fig"
    more.mkdir()
    (more / "original.png").write_bytes(b"half")
    code, out, _ = sid("doctor")
    assert code == 1
    for name in ODD[1:]:
        assert f"{odd.projects_folder / name}: no project" in out
    assert f"workspace {odd.folder}: 2 half-written files of a killed process" in out
    for name in ("broken", "locked"):
        assert f"project '{name}': " in out
    assert "project 'apple'" not in out and "project 'pear'" not in out
    assert "done: removed 2 half-written files" in sid("doctor", "--repair")[1]
    assert sorted(stray.path.name for stray in odd.strays()) == sorted(ODD[1:])


def test_rename_and_delete(sid: Sid, odd: Workspace) -> None:
    assert sid("rename", "pear", "fig")[:2] == (
        0, f"project 'pear' is 'fig' now: {odd.projects_folder / 'fig'}\n"
    )  # fmt: skip
    code, out, _ = sid("delete", "fig", "--yes")
    assert code == 0 and "0 candidates, 0 picks, 0 LoRA files" in out
    assert f"move that folder to {odd.projects_folder / 'fig'}" in out
    (odd.folder / "trash" / "fig").rename(odd.projects_folder / "fig")
    assert sid("delete", "fig", "--yes", "--for-good")[1].endswith("project 'fig' is deleted\n")
    assert list((odd.folder / "trash").iterdir()) == []
    assert sid("delete", "broken", "--yes")[0] == 0
    code, _, err = sid("delete", "locked", "--yes")
    assert code == 2 and "its lock" in err
    assert odd.project_names() == ["apple", "locked"]


def test_deleting_asks_first(sid: Sid, odd: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert "nothing is deleted" in sid("delete", "apple")[1]
    assert "apple" in odd.project_names()


@pytest.mark.parametrize("path", ["", "~nobody-here/x", "good.png", "good.png/x", "circle", "n" * 300])
def test_a_workspace_that_cannot_be_is_refused_in_one_line(sid: Sid, path: str) -> None:
    Path("circle").symlink_to("circle")
    before = sorted(os.listdir())  # noqa: PTH208
    new = ("new", "apple", "--image", "good.png", "--caption", "woman")
    for arguments in (("status",), ("doctor",), ("report",), ("reindex",), new):
        code, out, err = sid("--workspace", path, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), (arguments, err)
        assert err.startswith("sid: --workspace")
    assert sorted(os.listdir()) == before  # noqa: PTH208


@pytest.mark.parametrize("path", ["n" * 300, "good.png/x", "circle", "nowhere/" + "n" * 300])
def test_files_that_cannot_be_are_refused_in_one_line(sid: Sid, odd: Workspace, path: str) -> None:
    Path("circle").symlink_to("circle")
    for arguments in (
        ("new", "fig", "--image", path, "--caption", "woman"),
        ("new", "fig", "--image", "good.png", "--caption", "woman", "--base", path),
        ("show", path),
        ("tag", path),
        ("tag", "good.png", "--tagger", path),
        ("export", "apple", path, "--format", "kohya"),
        ("set", "apple", f"project.base_model={path}"),
        ("delete", path, "--yes"),
    ):
        code, _, err = sid(*arguments)
        assert (code, err.count("\n")) == (2, 1), (arguments, err)
        assert err.startswith("sid: ")
    assert odd.project_names() == ["apple", "broken", "locked", "pear"]


@pytest.mark.parametrize(
    ("folder", "verb"),
    [
        ("projects/.new.lock", ("new", "fig", "--image", "good.png", "--caption", "woman")),
        ("catalog.sqlite", ("status",)),
        ("catalog.sqlite", ("new", "fig", "--image", "good.png", "--caption", "woman")),
        ("projects/apple/pairs.png", ("dedupe", "apple", "--explain")),
        ("projects/apple/.generation.lock", ("grow", "apple")),
        ("projects/apple/project.toml", ("set", "apple", "training.epochs=3")),
    ],
)
def test_a_folder_in_the_place_of_a_file_of_ours_is_told_in_one_line(
    sid: Sid, odd: Workspace, folder: str, verb: tuple[str, ...]
) -> None:
    place = odd.folder / folder
    place.unlink(missing_ok=True)
    place.mkdir()
    code, _, err = sid(*verb)
    assert (code, err.count("\n")) == (2, 1), err


@pytest.mark.parametrize(
    ("file", "verb"),
    [
        ("trash", ("delete", "apple", "--yes")),
        ("projects/fig", ("new", "fig", "--image", "good.png", "--caption", "woman")),
        ("projects/fig", ("rename", "apple", "fig")),
    ],
)
def test_a_file_in_the_place_of_a_folder_of_ours_is_told_in_one_line(
    sid: Sid, odd: Workspace, file: str, verb: tuple[str, ...]
) -> None:
    (odd.folder / file).write_text("x")
    code, _, err = sid(*verb)
    assert (code, err.strip().count("\n")) == (2, 0), err
    assert odd.project_names() == ["apple", "broken", "locked", "pear"]
