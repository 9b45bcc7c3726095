"""The verbs for whole projects: `new`, `set`, `status`, `rename`, `delete`, and `grow` and `export` for the dataset."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bootstrap.cli.common import Name, print_json, say, say_lines, workspace_of
from bootstrap.commands import command
from bootstrap.errors import UserError


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command()(new)
    app.command("set")(set_settings)
    for verb in (status, rename, delete, grow, export):
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
    from bootstrap import images
    from bootstrap.models import specs
    from bootstrap.project import projects
    from bootstrap.training import examples

    project = projects.create(workspace_of(context), name, image, caption, base)
    if images.has_more_frames(image):
        say(f"{image}: it has several frames or pages; the first one is the original")
    geometry = specs.geometry(project.base_model)
    if geometry and (
        line := examples.cut_off_line(project, geometry, [(image.name, images.size_of(project.original))])
    ):
        say(line)
    say(f"project '{project.name}' made, with base model {project.base_model.name}: {project.folder}")
    say(f"settings: {project.toml}")
    say(f"next: {command('run', project.name)}")


def set_settings(
    context: typer.Context,
    name: Name,
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SECTION.NAME=VALUE...]", help="Such as training.repeats=30.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PRESET|PROJECT|FILE",
            help="Take the training settings of a preset (defaults, low-memory, flexible, prodigy), of another "
            "project, or of a file: kohya's TOML or JSON, or a project.toml.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Change settings of a project; a setting without a value returns to its default.

    What has to be trained or drawn again because of it is said first; in a terminal, it asks whether to save it then.
    """
    from bootstrap.catalog.store import exists
    from bootstrap.project import editing, presets

    project = workspace_of(context).project(name)
    if not assignments and source is None:
        raise UserError("name a setting, such as training.repeats=30, or --from a preset, project or file")
    taken = presets.find(project.workspace, source) if source is not None else None
    before = presets.assignments(taken) if taken else {}
    edit, lines = editing.assigned(project, assignments or [], before)
    if taken and taken.line:
        say(taken.line)
    stale = []
    if exists(project.workspace.catalog_url):
        from bootstrap.loop import work_left

        with closing(project.workspace.open_catalog()) as catalog:
            stale = work_left.of_edit(catalog, project, edit)
    for line in stale:
        say(line)
    if stale and not yes and sys.stdin.isatty() and not typer.confirm("Save it?", default=True):
        say("nothing is changed")
        return
    edit.save()
    for line in lines:
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
    strays = [] if name else workspace.strays()
    page = status_page.collect(workspace, names)
    if not as_json:
        say_lines(status_page.render(workspace, page, strays))
        return
    print_json(page, indent=2, default=str)
    for stray in strays:  # the JSON lists projects only
        say(str(stray), of_trouble=True)


def rename(
    context: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
) -> None:
    """Rename a project; recipes of other projects that draw with its LoRA follow."""
    from bootstrap.project import renaming

    workspace = workspace_of(context)
    with closing(workspace.open_catalog()) as catalog:
        followed = renaming.rename(workspace, name, new, catalog)
    project = workspace.project(new)
    say(f"project '{name}' is '{new}' now: {project.folder}")
    if followed:
        say(f"recipes that draw with its LoRA follow, in: {', '.join(followed)}")
    for toml in renaming.mentions(project, name):
        say(f"{toml} has the path of its former folder; change it there")


def delete(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    for_good: Annotated[
        bool,
        typer.Option(
            "--for-good", help="Remove it from disk and catalog, instead of moving it to the trash."
        ),
    ] = False,
) -> None:
    """Delete a project: move it to the workspace's folder `trash`, from where it can come back; asks first."""
    from bootstrap.project import removing

    project = workspace_of(context).project(name)
    with closing(project.workspace.open_catalog()) as catalog:
        say(f"project '{name}': {removing.contents(project, catalog)}")
        question = "Remove it for good?" if for_good else "Move it to the trash?"
        if not yes and not typer.confirm(question):
            say("nothing is deleted")
            return
        folder = removing.delete(project, catalog, for_good)
    if folder is None:
        say(f"project '{name}' is deleted")
        return
    say(f"project '{name}' is in the trash: {folder}")
    say(f"to get it back with all its verdicts, move that folder to {project.folder}")
    say("to free its disk space, remove that folder")


def grow(context: typer.Context, name: Name) -> None:
    """Add the picks with their captions to the dataset, on which the next `sid run` trains."""
    from bootstrap import images
    from bootstrap.dataset import entries, growth
    from bootstrap.models import specs
    from bootstrap.training import examples

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    grown = growth.grow(project, catalog)
    say(f"dataset of '{name}': {grown.added} added, {grown.removed} removed, {grown.size} pictures now")
    geometry = specs.geometry(project.base_model)
    pictures = (
        (entry.path.name, images.size_of(entry.path)) for entry in entries.of_project(project, catalog)
    )
    if geometry and (line := examples.cut_off_line(project, geometry, pictures)):
        say(line)
    say(f"next: {command('run', name)}")


def export(
    context: typer.Context,
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    to: Annotated[str, typer.Option("--format", help="kohya or imagefolder.")],
) -> None:
    """Copy the dataset into a folder that kohya_ss or Hugging Face datasets can read."""
    from bootstrap.dataset import exporting

    project = workspace_of(context).project(name)
    count = exporting.export(project, project.workspace.open_catalog(), to, folder)
    say(f"{count} pictures with captions in {folder}")
