"""A command that a message names works when it is copied: it keeps --workspace, and is quoted."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

from bootstrap.cli import main
from bootstrap.commands import command, workspace_given
from tests.sid_command import in_this_process

_ROOT = Path(__file__).parents[1]
# What a message tells of, and nobody is asked to type.
MENTIONED = {
    " wants a login: set PREFECT_API_AUTH_STRING; that of a server which `sid up` started is in the file ",
    "; that of a server which `sid up` started is in the file ",
    "': `sid reindex` was stopped before it had finished",
    "an interrupted `sid new` has left it",
    "its folder is being read; `sid reindex` goes on with it",
    ": another `sid up` serves it",
    "`sid show` prints it as it is",  # needs no workspace
    "install sid again",
    "sid sheet",  # a key in the PNG of a sheet
    "sid review",  # the title of the app's tab
    "sid papertown make: ",  # the verb that refuses
    "sid review login",  # what a cookie is for
    "# Settings of a sid project.",  # stays in project.toml, wherever its workspace goes
    "# Who may use the review app. `sid password` writes the hash; docs/review-app.md describes emails.\n",
}


def test_a_command_names_the_workspace_that_was_given() -> None:
    assert command("run", "anna") == "sid run anna"
    assert command("run", "my cat") == "sid run 'my cat'"
    with workspace_given("/data/my pictures"):
        assert shlex.split(command("run", "anna")) == [
            "sid",
            "--workspace",
            "/data/my pictures",
            "run",
            "anna",
        ]
        with workspace_given(None):  # a command line without the option
            assert command("status") == "sid status"
        assert "--workspace" in command("status")
    assert command("status") == "sid status"


@pytest.fixture
def sid(monkeypatch, capsys):
    return in_this_process(monkeypatch, capsys)


def test_hints_keep_the_workspace(sid, originals: Path, tmp_path: Path) -> None:
    workspace = str(tmp_path / "a workspace")
    given = f"sid --workspace '{workspace}'"
    _, empty, _ = sid("--workspace", workspace, "status")
    assert f"next: {given} new NAME" in empty
    picture = str(originals / "badge.png")
    _, made, _ = sid("--workspace", workspace, "new", "badge", "--image", picture, "--caption", "woman, hat")
    assert f"next: {given} run badge" in made
    _, status, _ = sid("--workspace", workspace, "status")
    assert f"next: {given} run badge" in status
    _, _, error = sid("--workspace", workspace, "grow", "badge")
    assert f"({given} run badge)".replace("(", "(`").replace(")", "`)") in error


def test_hints_without_the_option_are_short(sid, originals: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path))
    _, made, _ = sid("new", "badge", "--image", str(originals / "badge.png"), "--caption", "woman, hat")
    assert "next: sid run badge\n" in made


def texts_of(path: Path) -> list[str]:
    """Return the texts of a module, apart from its docstrings and the help of its verbs."""
    tree = ast.parse(path.read_text())
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            left_out |= {id(inner) for inner in ast.walk(node.body[0])} if _is_text(node.body[0]) else set()
        if isinstance(node, ast.keyword) and node.arg == "help":
            left_out |= {id(inner) for inner in ast.walk(node.value)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out
    ]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_every_message_names_commands_through_the_one_function() -> None:
    main._load_verbs()
    verbs = "|".join(sorted(typer.main.get_command(main.app).commands, key=len, reverse=True))
    wild = re.compile(rf"\bsid ({verbs})\b")
    found = {
        (path.relative_to(_ROOT).as_posix(), text)
        for package in ("bootstrap", "flows", "review_app")
        for path in (_ROOT / package).rglob("*.py")
        for text in texts_of(path)
        if wild.search(text) and not any(text.startswith(mention) for mention in MENTIONED)
    }
    assert found == set()
