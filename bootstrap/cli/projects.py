"""The verbs for whole projects: `new`, `set`, `status`, and `grow` and `export` for the dataset."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap.cli.common import Name, print_json, say, say_lines, workspace_of


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command()(new)
    app.command("set")(set_settings)
    for verb in (status, grow, export):
        app.command()(verb)


def new(
    context: typer.Context,
    name: Name,
    image: Annotated[Path, typer.Option(help="The one picture to start from.")],
    caption: Annotated[
        str, typer.Option(help='What the picture shows: tags, the subject first ("woman, red apple").')
    ],
    base: Annotated[
        str,
        typer.Option(help="Base model: embedded name, diffusers folder, .safetensors file or hub id."),
    ] = "papertown",
) -> None:
    """Make a project from one picture and its caption."""
    from bootstrap.project import projects

    project = projects.create(workspace_of(context), name, image, caption, base)
    say(f"project '{project.name}' made, with base model {project.base_model.name}: {project.folder}")
    say(f"settings: {project.toml}")
    say(f"next: sid run {project.name}")


def set_settings(
    context: typer.Context,
    name: Name,
    assignments: Annotated[
        list[str], typer.Argument(metavar="SECTION.NAME=VALUE...", help="Such as training.repeats=30.")
    ],
) -> None:
    """Change settings of a project; a setting without a value returns to its default."""
    from bootstrap.project import editing

    for line in editing.set_values(workspace_of(context).project(name), assignments):
        say(line)


def status(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this project.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the projects, their generations and what waits for review."""
    from bootstrap.cli import status_page

    workspace = workspace_of(context)
    names = [workspace.project(name).name] if name else workspace.project_names()
    page = status_page.collect(workspace, names)
    if as_json:
        print_json(page, indent=2, default=str)
    else:
        say_lines(status_page.render(workspace, page))


def grow(context: typer.Context, name: Name) -> None:
    """Add the picks with their captions to the dataset, on which the next `sid run` trains."""
    from bootstrap.catalog import Catalog
    from bootstrap.dataset import growth

    project = workspace_of(context).project(name)
    grown = growth.grow(project, Catalog(project.workspace.catalog_url))
    say(f"dataset of '{name}': {grown.added} added, {grown.removed} removed, {grown.size} pictures now")
    say(f"next: sid run {name}")


def export(
    context: typer.Context,
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    to: Annotated[str, typer.Option("--format", help="kohya or imagefolder.")],
) -> None:
    """Copy the dataset into a folder that kohya_ss or Hugging Face datasets can read."""
    from bootstrap.catalog import Catalog
    from bootstrap.dataset import exporting

    project = workspace_of(context).project(name)
    count = exporting.export(project, Catalog(project.workspace.catalog_url), to, folder)
    say(f"{count} pictures with captions in {folder}")
