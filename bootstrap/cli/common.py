"""What several verbs of `sid` share: the project's name, the workspace, the reviewer, the generation.

A verb imports what it needs in its body, so that `sid --help` and a mistyped command answer without loading the
catalog or torch.
"""

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bootstrap.commands import command
from bootstrap.errors import LONGEST_MESSAGE, UserError, cell, printable

if TYPE_CHECKING:
    from bootstrap.catalog import Catalog
    from bootstrap.project.generation import Generation
    from bootstrap.project.projects import Project, Workspace


def project_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of projects that begin so, for a shell's completion."""
    from bootstrap.project.projects import Workspace

    try:
        names = Workspace.locate(context.find_root().params.get("workspace")).project_names()
    except (UserError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the project.", autocompletion=project_names)
]

# Characters of a prompt, a caption or another text that a person asked to see; longer ones are whole in --json.
LONGEST_TEXT = 10_000
MOST_GENERATIONS = 1_000_000
_UNPRINTABLE = re.compile(r"[^\x00-\x7e]")  # of them, some; json escapes those below
_LONGEST_REVIEWER = 64  # characters, the catalog's limit


def say(line: str, *, of_trouble: bool = False) -> None:
    """Print one line of at most 500 characters; whatever it quotes cannot break it or steer the terminal.

    Args:
        of_trouble: print it on standard error.
    """
    typer.echo(printable(line, LONGEST_MESSAGE), err=of_trouble)


def say_lines(text: str) -> None:
    """Print a text of several lines, each as `say` does."""
    for line in text.split("\n"):
        say(line)


def say_text(text: str, before: str = "") -> None:
    """Print a prompt, a caption or another text that may be long, on one line.

    Args:
        before: what stands before it, such as `prompt: `.
    """
    typer.echo(printable(before) + cell(text, LONGEST_TEXT))


def print_json(value: Any, **options: Any) -> None:
    """Print a value as JSON, with all its characters; those that would steer a terminal as JSON's escapes."""
    typer.echo(_UNPRINTABLE.sub(_as_json_escape, json.dumps(value, **options)))


def _as_json_escape(match: re.Match[str]) -> str:
    sign = match[0]
    return sign if sign.isprintable() else json.dumps(sign)[1:-1]


def encode_all() -> None:
    """Let standard output and error escape what the terminal's encoding does not have, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def workspace_of(context: typer.Context) -> "Workspace":
    """Return the workspace that the command line names, or else the environment."""
    from bootstrap.project.projects import Workspace

    workspace = context.find_object(Workspace)
    if workspace is None:
        raise RuntimeError("a verb was called without its command")
    return workspace


def reviewer() -> str:
    """Return who gives the verdicts: $SID_REVIEWER, or else the login name."""
    name = os.environ.get("SID_REVIEWER") or os.environ.get("USER") or os.environ.get("USERNAME") or "someone"
    return (
        name[:_LONGEST_REVIEWER].encode("utf-8", "replace").decode()
    )  # bytes of another encoding become "?"


def generation_of(project: "Project", catalog: "Catalog", number: int | None) -> "Generation":
    """Return a project's generation with this number, the latest for None.

    Raises:
        UserError: the project has no such generation.
    """
    from bootstrap.catalog import generations
    from bootstrap.project.generation import Generation

    name = project.name
    number = number or generations.latest(catalog, name)
    if number is None or number not in [status.number for status in generations.statuses(catalog, name)]:
        raise UserError(
            f"project '{name}': it has no generation {number or 1} yet; start one with `{command('run', name)}`"
        )
    return Generation(project, catalog, number)
