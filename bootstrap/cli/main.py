"""The `sid` command: its common options, its verbs by subject, and what its exit codes mean.

`flows` and `review_app` add their verbs as entry points.
"""

import logging
import sys
import traceback
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated

import typer

from bootstrap import __version__
from bootstrap.cli import (
    curation,
    generations,
    imports,
    lora,
    panels,
    papertown,
    pictures,
    projects,
    samplers,
    upkeep,
    verdicts,
)
from bootstrap.cli.common import encode_all, say
from bootstrap.commands import workspace_given
from bootstrap.errors import (
    MachineError,
    UserError,
    is_wrong_path,
    keep_logs_printable,
    machine_problem,
    printable,
)

app = typer.Typer(
    name="sid",
    help="From one picture and its caption to a dataset good enough to train a full LoRA.",
    cls=panels.InPanels,
    pretty_exceptions_enable=False,
)

app.add_typer(lora.app, name="lora")
app.add_typer(papertown.app, name="papertown")
for _subject in (projects, generations, pictures, imports, samplers, upkeep):
    _subject.add_verbs(app)


def _print_version(is_given: bool) -> None:
    if is_given:
        say(f"sid {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    workspace: Annotated[
        str | None,  # a text, because an empty Path is the current folder
        typer.Option(
            metavar="FOLDER",
            help="Folder of the catalog and the projects.",
            show_default="$SID_WORKSPACE or ./sid-workspace",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    from bootstrap.project.projects import Workspace, named

    context.with_resource(workspace_given(workspace))  # for the commands that messages name
    context.with_resource(named(workspace))  # for who is told that a review is finished
    context.obj = Workspace.locate(workspace)


@cache
def _load_verbs() -> None:
    """Add the remaining verbs, including those of the other packages; once per process."""
    verdicts.add_verbs(app)
    curation.add_verbs(app)
    for entry in sorted(entry_points(group="sid.verbs"), key=lambda entry: entry.name):
        entry.load()(app)
    panels.assign(app)


def main() -> None:
    """Run the command line and exit.

    Exit codes: 0 success; 1 a problem of the machine, in one line, or a bug of ours, with a traceback; 2 the user's
    mistake, in one line; 130 interrupted by Ctrl-C.
    """
    encode_all()
    keep_logs_printable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _load_verbs()
    try:
        _check_encoding(sys.argv[1:])
        code = app(sys.argv[1:] or ["--help"], prog_name="sid", standalone_mode=False)
    except UserError as error:
        sys.stderr.write(f"sid: {error}\n")
        sys.exit(1 if isinstance(error, MachineError) else 2)
    except typer.TyperException as error:
        sys.stderr.write(f"sid: {printable(_in_one_line(error))}\n")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        problem = machine_problem(error)
        if problem is not None:
            sys.stderr.write(f"sid: {problem}\n")
            sys.exit(2 if is_wrong_path(error) else 1)
        for line in traceback.format_exc().splitlines():
            sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.write("sid: this is a bug in sid; please report the lines above\n")
        sys.exit(1)
    if code == 130:
        sys.stderr.write("sid: stopped\n")
    sys.exit(code or 0)


def _check_encoding(arguments: list[str]) -> None:
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):  # what Python makes of other bytes
            raise UserError(
                f"argument {argument!r}: it is no UTF-8 text, which neither settings nor catalog can hold"
            )


def _in_one_line(error: typer.TyperException) -> str:
    """Return what is wrong with the command line, and which command shows its help."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message} (see `{context.command_path if context else 'sid'} --help`)"
