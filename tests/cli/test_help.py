"""`--help` shows every text and every default unchanged: rich parses none of it as markup."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bootstrap.cli import main, panels
from flows import cli as flows_cli
from review_app import cli as review_cli
from tests.sid_command import in_this_process


def library() -> typer.Typer:
    """Return an app with the verbs of bootstrap."""
    return main.app


def other_packages() -> typer.Typer:
    """Return an app with the verbs that flows and the review app add."""
    app = typer.Typer()
    flows_cli.add_verbs(app)
    review_cli.add_verbs(app)
    return app


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def test_every_verb_has_its_panel() -> None:
    main._load_verbs()
    command = typer.main.get_command(main.app)
    in_panels = [verb for verbs in panels.PANELS.values() for verb in verbs]
    assert sorted(in_panels) == sorted(command.commands), "name new verbs in bootstrap/cli/panels.py"
    printed = CliRunner().invoke(main.app, ["--help"], env={"COLUMNS": "100"}).output
    titles = re.findall(r"╭─ (.+?) ─", printed)
    assert titles == ["Options", *panels.PANELS]
    assert printed.index(" new ") < printed.index(" review ") < printed.index(" reindex ")


def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str) -> list[str]:
    """Return what the shell offers for the last word."""
    monkeypatch.setenv("_SID_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    _, offered, _ = in_this_process(monkeypatch, capsys)()
    return offered.split()


def test_the_shell_completes_verbs_and_names_of_projects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("apple", "apricot", "pear"):
        (tmp_path / "projects" / name).mkdir(parents=True)
        (tmp_path / "projects" / name / "project.toml").touch()
    assert completed(monkeypatch, capsys, "sid keep") == ["keep-apart"]
    assert completed(monkeypatch, capsys, f"sid --workspace {tmp_path} run ap") == ["apple", "apricot"]
    assert completed(monkeypatch, capsys, "sid --workspace /nowhere/at/all run ap") == []


@pytest.mark.parametrize("make", [library, other_packages])
def test_help_shows_every_text_and_every_default(make: Callable[[], typer.Typer]) -> None:
    app = make()
    missing, named_defaults = [], 0
    for path, command in commands(typer.main.get_command(app)):
        ran = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "500"})
        printed = " ".join(re.sub("[│╭╮╰╯─]", " ", ran.output).split())
        for parameter in command.params:
            texts = [" ".join((getattr(parameter, "help", None) or "").split())]
            if isinstance(parameter.show_default, str):
                texts.append(f"[default: ({parameter.show_default})]")
                named_defaults += 1
            missing += [(*path, parameter.name, text) for text in texts if text not in printed]
            assert "[default" not in texts[0], (
                "pass defaults as show_default=: rich parses [default...] in help= as markup"
            )
    assert not missing
    assert named_defaults
