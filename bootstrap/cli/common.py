"""What several verbs of `sid` share: the project's name, the workspace, the reviewer, the generation.

A verb imports what it needs in its body, so that `sid --help` and a mistyped command answer without loading the
catalog or torch.
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

MOST_GENERATIONS = 1_000_000
_LONGEST_REVIEWER = 64  # characters, the catalog's limit


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
    return name[:_LONGEST_REVIEWER]


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
            f"project '{name}': it has no generation {number or 1} yet; start one with `sid run {name}`"
        )
    return Generation(project, catalog, number)
