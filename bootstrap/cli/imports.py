"""The verb `import`, which brings pictures in as candidates."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap.cli.common import Name, print_json, say, say_text, workspace_of
from bootstrap.commands import command

if TYPE_CHECKING:
    from bootstrap.progress import Progress


def add_verbs(app: typer.Typer) -> None:
    """Add this verb to the command line."""
    app.command("import")(import_pictures)


def import_pictures(
    context: typer.Context,
    name: Name,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Pictures, folders (a kohya dataset too), zip archives."),
    ],
    note: Annotated[
        str, typer.Option(help="Kept with each picture and exported, such as its licence or its source.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the ids and what was left out.")
    ] = False,
) -> None:
    """Bring in pictures as candidates: they are compared, scored and reviewed like drawn ones."""
    from bootstrap.loop import importing  # imports torch, which takes seconds

    project = workspace_of(context).project(name)
    result = importing.import_pictures(project, project.workspace.open_catalog(), paths, note, _show)
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    for refused in result.refused:
        say(f"left out: {refused}", of_trouble=True)
    parts = [f"{len(result.new)} new candidates in generation {result.generation}"]
    parts += [f"{result.duplicates} of them duplicates"] if result.duplicates else []
    parts += [f"{result.known} pictures were there already"] if result.known else []
    parts += [f"{len(result.refused)} left out"] if result.refused else []
    say("imported: " + ", ".join(parts))
    if result.without_caption:
        say(
            f"{result.without_caption} of them have no caption, so they took the project's; change it in the app"
        )
    if result.not_honoured:
        say_text(", ".join(result.not_honoured), "their infotext also says what sid does not honour: ")
    if result.first_frames:
        say(f"of {result.first_frames} of them only the first of several frames or pages was taken")
    if result.cut_off:
        say(result.cut_off)
    if not result.is_up:
        say(
            f"they are published when generation {result.generation} is finished; next: {command('run', name)}"
        )


def _show(progress: "Progress") -> None:
    """Show the progress on a terminal, in one line."""
    if not sys.stderr.isatty():
        return
    text = f"{progress.stage}: {progress.done} of {progress.total} pictures"
    sys.stderr.write(f"\r{text}{' ' * 20}" if progress.done < progress.total else f"\r{' ' * 60}\r")
    sys.stderr.flush()
