"""`--help` shows every text and every default unchanged: rich parses none of it as markup."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bootstrap.cli import main
from flows import cli as flows_cli
from review_app import cli as review_cli


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
