"""The verbs of the verdicts: `sid accept`, `sid reject` and `sid undo`."""

from typing import Annotated

import typer

from bootstrap.cli.common import Name, reviewer, workspace_of
from bootstrap.errors import UserError

MOST_NAMED = 8  # more are counted

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Candidate ids, or beginnings of them.")]


def add_verbs(app: typer.Typer) -> None:
    """Add them to the command line."""
    app.command()(accept)
    app.command()(reject)
    app.command()(undo)


def accept(context: typer.Context, name: Name, ids: Ids) -> None:
    """Accept candidates: they become picks with the next `sid grow`."""
    _decide(context, name, ids, "accept")


def reject(context: typer.Context, name: Name, ids: Ids) -> None:
    """Reject candidates: they are kept, and keep their look-alikes from coming back."""
    _decide(context, name, ids, "reject")


def undo(
    context: typer.Context,
    name: Name,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...]", help="Candidates.", show_default="what you did last"),
    ] = None,
) -> None:
    """Take back the last verdict on candidates, or all that was decided by what you did last."""
    from bootstrap.catalog import Catalog, candidates, verdicts

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    if not ids:
        undone = verdicts.undo_act(catalog, chosen.name, reviewer())
        if not undone:
            raise UserError(f"project '{name}': you have given no verdict that could be undone")
        typer.echo(f"taken back: {_named(undone)}")
        return
    for given in ids:
        whole = candidates.candidate(catalog, chosen.name, given).id
        if verdicts.undo(catalog, chosen.name, whole) is None:
            raise UserError(f"candidate '{whole}': it has no verdict that could be undone")
        typer.echo(f"{whole} is {candidates.candidate(catalog, chosen.name, whole).verdict} again")


def _decide(context: typer.Context, name: str, ids: list[str], given: str) -> None:
    from bootstrap.catalog import Catalog, candidates, verdicts
    from bootstrap.catalog.states import Verdict

    verdict = Verdict(given)
    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    whole = [candidates.candidate(catalog, chosen.name, one).id for one in ids]
    verdicts.decide(catalog, chosen.name, whole, verdict, reviewer=reviewer())
    typer.echo(f"{verdict}ed: {_named(whole)}")


def _named(ids: list[str]) -> str:
    return ", ".join(ids) if len(ids) <= MOST_NAMED else f"{len(ids)} candidates"
