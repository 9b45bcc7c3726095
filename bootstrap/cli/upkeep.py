"""The verbs that keep a workspace in order: `doctor` and `reindex`."""

from contextlib import closing
from typing import Annotated

import typer

from bootstrap.cli.common import say, workspace_of
from bootstrap.errors import UserError, reason_of


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command("doctor")(run_doctor)
    app.command("reindex")(rebuild_catalog)


def run_doctor(
    context: typer.Context,
    repair: Annotated[bool, typer.Option("--repair", help="Carry out the repairs it proposes.")] = False,
) -> None:
    """Check the machine, the models, the workspace and the catalog; with --repair, fix what it can."""
    from bootstrap.upkeep import doctor  # importing the catalog and torch takes seconds

    workspace = workspace_of(context)
    for name, value in doctor.machine(workspace):
        say(f"{name:<10} {value}")
    left = 0
    for finding in doctor.examine(workspace):
        say("")
        say(finding.what)
        say(f"  to do: {finding.remedy}")
        if repair and finding.repair:
            say(f"  done: {finding.repair()}")
        else:
            left += 1
    if left:
        say("")
        say(f"{left} things are not in order" + ("" if repair else "; sid doctor --repair does what it can"))
        raise typer.Exit(1)
    say("")
    say("everything is in order")


def rebuild_catalog(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this project.")] = None,
) -> None:
    """Rebuild a lost catalog from the projects' folders; existing entries stay as they are."""
    from bootstrap.upkeep import reindex

    workspace = workspace_of(context)
    names = [workspace.project(name).name] if name else workspace.project_names()
    if not names:
        say(f"workspace {workspace.folder}: there are no projects")
        return
    failed = 0
    with closing(workspace.open_catalog()) as catalog:
        for project_name in names:
            try:
                done = reindex.reindex(workspace.project(project_name), catalog)
            except (UserError, OSError) as error:
                if name:
                    raise
                say(f"{project_name}: left out: {reason_of(error)}", err=True)
                failed += 1
                continue
            say(
                f"{project_name}: {done.generations} generations, {done.snapshots} snapshots, {done.candidates} "
                f"candidates, {done.picks} picks and {done.sheets} sheets put into the catalog"
            )
    for stray in [] if name else workspace.strays():
        say(str(stray), err=True)
    if failed:
        raise UserError(
            f"{failed} of {len(names)} projects were left out; mend them, then run `sid reindex` again"
        )
