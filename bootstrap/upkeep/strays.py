"""What no project owns: strays in the projects' folder, and what deleted projects have left.

All is told; it is removed where nothing of the user's can be in it.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bootstrap.catalog import Catalog, identities
from bootstrap.errors import UserError
from bootstrap.project import projects, removing
from bootstrap.project.projects import Workspace
from bootstrap.upkeep.finding import Finding


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Yield a finding for everything in the projects' folder that is no project."""
    for stray in workspace.strays():
        what = f"{stray.path}: no project, {stray.what}"
        if not stray.is_interrupted:
            yield Finding(what, stray.remedy)
        elif projects.is_leftover(stray.path):
            yield Finding(what, "remove it", partial(_remove, workspace, stray.path))
        else:
            yield Finding(what, "it holds more than `sid new` writes: look what that is, then move it away")


def is_trash(workspace: Workspace) -> bool:
    """Return whether the workspace has a trash, with or without anything in it."""
    return (workspace.folder / removing.FOLDER).is_dir()


def of_trash(workspace: Workspace, catalog: Catalog) -> Iterator[Finding]:
    """Yield a finding for each deletion that is not complete."""
    for folder in removing.interrupted(workspace):

        def finish() -> str:
            removing.finish(workspace, catalog)
            return "removed"

        yield Finding(f"{folder}: the deletion of this project was interrupted", "complete it", finish)
    emptied = removing.emptied(workspace, catalog)
    if emptied:

        def forget() -> str:
            for identity in emptied:
                identities.remove(catalog, identity)
            return f"removed {len(emptied)} projects from the catalog"

        yield Finding(
            f"the catalog still has {len(emptied)} deleted projects whose folders are no longer in the trash",
            "remove them from it, too",
            forget,
        )


def _remove(workspace: Workspace, folder: Path) -> str:
    try:
        with workspace.changing_projects(wait=1.0):  # `sid new` may be working there just now
            if projects.is_leftover(folder):
                shutil.rmtree(folder)
    except UserError as error:
        return f"nothing: {error}"
    return f"removed {folder.name}"
