"""What no project owns: strays in the projects' folder, and what deleted projects have left.

All is reported; it is removed where nothing of the user's can be in it.
"""

from collections.abc import Iterator

from bootstrap.catalog import Catalog, identities
from bootstrap.project import removing
from bootstrap.project.projects import Workspace
from bootstrap.upkeep.finding import Finding


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Yield a finding for everything in the projects' folder that is no project."""
    for stray in workspace.strays():
        what = f"{stray.path}: no project, {stray.what}"
        if not stray.is_interrupted:  # those are found with all else that killed processes left
            yield Finding(what, stray.remedy)


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
