"""The verbs that keep a workspace in order: `doctor` and `reindex`."""

import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap.cli.common import say, workspace_of
from bootstrap.commands import command
from bootstrap.errors import UserError, reason_of

if TYPE_CHECKING:
    from bootstrap.progress import Progress


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
    left, looking = 0, _Looking()
    for finding in doctor.examine(workspace, looking):
        looking.clear()
        say("")
        say(f"{finding.what}; to do: {finding.remedy}")
        done = _carried_out(finding.repair) if repair and finding.repair else ""
        if done:
            say(f"  {done}")
        left += not done.startswith("done")
    looking.clear()
    say("")
    say(
        f"looked at {looking.pictures} pictures"
        + (f", {looking.rate:.0f} a second" if looking.pictures else "")
    )
    if left:
        say(
            f"{left} things are not in order"
            + ("" if repair else f"; {command('doctor', '--repair')} does what it can")
        )
        raise typer.Exit(1)
    say("everything is in order")


def _carried_out(repair: Callable[[], str]) -> str:
    try:
        return f"done: {repair()}"
    except (UserError, OSError) as error:  # one that cannot be made keeps nobody from the others
        return f"not done: {reason_of(error)}"


class _Looking:
    """Shows the progress of looking at pictures on a terminal, in one line."""

    def __init__(self) -> None:
        self.pictures, self.rate, self._shown = 0, 0.0, False

    def __call__(self, progress: "Progress") -> None:
        """Take a report; it is called once per picture."""
        self.pictures, self.rate = self.pictures + 1, progress.rate
        if sys.stderr.isatty() and (progress.done % 50 == 0 or progress.done == progress.total):
            sys.stderr.write(
                f"\rlooking at pictures: {progress.done} of {progress.total}, {progress.rate:.0f} a second "
            )
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Remove the line before another one is printed."""
        if self._shown:
            sys.stderr.write("\r" + " " * 70 + "\r")
            sys.stderr.flush()
            self._shown = False


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
                say(f"{project_name}: left out: {reason_of(error)}")
                failed += 1
                continue
            say(
                f"{project_name}: {done.generations} generations, {done.snapshots} snapshots, {done.candidates} "
                f"candidates, {done.picks} picks and {done.sheets} sheets put into the catalog"
            )
    for stray in [] if name else workspace.strays():
        say(str(stray))
    if failed:
        raise UserError(
            f"{failed} of {len(names)} projects were left out; mend them, then run `{command('reindex')}` again"
        )
