"""Delete a project: move its folder to the workspace's `trash`, from where it can come back, or remove it for good.

The catalog keeps the rows of a project in the trash; back in the projects' folder it has its candidates and verdicts
again. A process that is killed in between leaves the project as it was, or a deletion that `finish` completes.
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap.catalog import Catalog, candidates, identities, picks
from bootstrap.errors import UserError
from bootstrap.files import make_folder, move, remove_folder
from bootstrap.project import identity, running
from bootstrap.project.projects import Project, Workspace

FOLDER = "trash"  # in the workspace
_BEING_REMOVED = ".deleted-"  # and the identity: the folder of a project that is deleted for good


@dataclass(frozen=True)
class Contents:
    """What goes with a project."""

    candidates: int
    picks: int
    loras: int  # files
    bytes: int  # of all its files

    def __str__(self) -> str:
        return (
            f"{self.candidates} candidates, {self.picks} picks, {self.loras} LoRA files, "
            f"{self.bytes / 2**20:,.1f} MiB on disk"
        )


def contents(project: Project, catalog: Catalog) -> Contents:
    """Return what deleting a project would take away."""
    files = list(_files(project.folder))
    snapshots = [path for path in files if path.match("generation-*/training-*/*-[0-9]*.safetensors")]
    return Contents(
        len(candidates.ids(catalog, project.name)),
        len(picks.picks(catalog, project.name)),
        len(snapshots),
        sum(path.lstat().st_size for path in files if path.exists()),
    )


def delete(project: Project, catalog: Catalog, for_good: bool = False) -> Path | None:
    """Delete a project, and return its folder in the trash; with `for_good` nothing is left of it.

    Raises:
        UserError: a run works on the project, or its folder cannot be moved; the project is as before then.
    """
    workspace, folder = project.workspace, project.folder
    if for_good and folder.is_symlink():
        raise UserError(
            f"project '{project.name}': {folder} is a link, and sid removes nothing behind links; delete the project "
            "without --for-good, then remove the folder that the link names"
        )
    with workspace.changing_projects(), running.exclusively(project):
        own = identity.ensured(folder)
        identity.settle(catalog, workspace.projects_folder)  # its row has the identity now
        target = _place(workspace, project.name, own, for_good)
        identities.mark_deleted(catalog, own)
        try:
            make_folder(target.parent)
            move(folder, target)
        except OSError as error:
            identity.settle(catalog, workspace.projects_folder)  # it is here still
            raise _not_moved(project, target, error) from None
    if not for_good:
        return target
    finish(workspace, catalog)
    return None


def interrupted(workspace: Workspace) -> list[Path]:
    """Return the folders of projects whose deletion for good was interrupted."""
    name = re.compile(rf"{re.escape(_BEING_REMOVED)}[0-9a-f]{{32}}")
    folders = (workspace.folder / FOLDER).glob(f"{_BEING_REMOVED}*")
    return sorted(path for path in folders if name.fullmatch(path.name) and path.is_dir())


def emptied(workspace: Workspace, catalog: Catalog) -> list[str]:
    """Return the identities of deleted projects whose folder a person has removed from the trash."""
    marked = identities.deleted(catalog)
    if not marked:
        return []
    places = [workspace.folder / FOLDER, workspace.projects_folder]
    present = {identity.read(path) for place in places if place.is_dir() for path in place.iterdir()}
    return [own for own in marked if own not in present]


def finish(workspace: Workspace, catalog: Catalog) -> None:
    """Complete the deletions for good that were interrupted."""
    with workspace.changing_projects():
        for folder in interrupted(workspace):
            identities.remove(catalog, folder.name.removeprefix(_BEING_REMOVED))
            remove_folder(folder)


def _place(workspace: Workspace, name: str, own: str, for_good: bool) -> Path:
    trash = workspace.folder / FOLDER
    if for_good:
        return trash / f"{_BEING_REMOVED}{own}"
    numbered = (trash / (name if number == 1 else f"{name} ({number})") for number in range(1, 10_000))
    return next(path for path in numbered if not os.path.lexists(path))


def _not_moved(project: Project, target: Path, error: OSError) -> UserError:
    reason = (
        "it is on another disk than the workspace"
        if error.errno == errno.EXDEV
        else (error.strerror or str(error))
    )
    return UserError(
        f"project '{project.name}': its folder cannot be moved to {target} ({reason}); the project is as it was"
    )


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)
