"""What the verbs of `sid` share: the project's name, the workspace, who reviews, which generation is meant.

A verb imports what it works with itself: `sid --help` and a mistyped command answer without the catalog and torch.
"""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap.errors import UserError

if TYPE_CHECKING:
    from bootstrap.catalog import Catalog
    from bootstrap.project.generation import Generation
    from bootstrap.project.projects import Project, Workspace

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")]


def workspace_of(context: typer.Context) -> "Workspace":
    """The workspace that the command line, or else the environment, names."""
    from bootstrap.project.projects import Workspace

    found = context.find_object(Workspace)
    if found is None:
        raise RuntimeError("a verb was called without its command")
    return found


def reviewer() -> str:
    """Who gives verdicts: $SID_REVIEWER, else the login name."""
    found = (
        os.environ.get("SID_REVIEWER") or os.environ.get("USER") or os.environ.get("USERNAME") or "someone"
    )
    return found[:64]  # as much as the catalog has room for


def generation_of(project: "Project", catalog: "Catalog", asked: int | None) -> "Generation":
    """The generation of a project that was asked for, or the latest one."""
    from bootstrap.catalog import generations
    from bootstrap.project.generation import Generation

    name = project.name
    number = asked or generations.latest(catalog, name)
    if number is None or number not in [one.number for one in generations.statuses(catalog, name)]:
        raise UserError(
            f"project '{name}': it has no generation {number or 1} yet; start one with `sid run {name}`"
        )
    return Generation(project, catalog, number)
