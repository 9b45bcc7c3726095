"""The verbs for verdicts: `sid accept`, `sid reject` and `sid undo`."""

from typing import Annotated

import typer

from bootstrap.cli.common import Name, reviewer, say, workspace_of
from bootstrap.errors import UserError

MOST_NAMED = 8  # of more ids only the number is printed

Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="The ids of candidates, or their first characters.")
]


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command()(accept)
    app.command()(reject)
    app.command()(undo)


def accept(context: typer.Context, name: Name, ids: Ids) -> None:
    """Accept candidates: they become picks with the next `sid grow`."""
    _decide(context, name, ids, "accept")


def reject(context: typer.Context, name: Name, ids: Ids) -> None:
    """Reject candidates: their files are kept, and pictures like them stay hidden from now on."""
    _decide(context, name, ids, "reject")


def undo(
    context: typer.Context,
    name: Name,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...]", help="The ids of candidates.", show_default="your last action"),
    ] = None,
) -> None:
    """Take back the last verdict on each candidate, or all verdicts of your last action."""
    from bootstrap.catalog import candidates, verdicts

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    if not ids:
        undone = verdicts.undo_act(catalog, project.name, reviewer())
        if not undone:
            raise UserError(f"project '{name}': you have given no verdict that could be undone")
        say(f"taken back: {_listed(undone)}")
        return
    for prefix in ids:
        candidate_id = candidates.candidate(catalog, project.name, prefix).id
        if verdicts.undo(catalog, project.name, candidate_id) is None:
            raise UserError(f"candidate '{candidate_id}': it has no verdict that could be undone")
        verdict = candidates.candidate(catalog, project.name, candidate_id).verdict
        say(f"{candidate_id} is {verdict} again")


def _decide(context: typer.Context, name: str, ids: list[str], verdict_name: str) -> None:
    from bootstrap.catalog import candidates, verdicts
    from bootstrap.catalog.states import Verdict

    verdict = Verdict(verdict_name)
    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    candidate_ids = [candidates.candidate(catalog, project.name, prefix).id for prefix in ids]
    verdicts.decide(catalog, project.name, candidate_ids, verdict, reviewer=reviewer())
    say(f"{verdict}ed: {_listed(candidate_ids)}")


def _listed(ids: list[str]) -> str:
    return ", ".join(ids) if len(ids) <= MOST_NAMED else f"{len(ids)} candidates"
