"""What killed processes and interrupted commands have left: leases, half-written files, changes to be finished."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bootstrap.catalog import Catalog, generations, leases
from bootstrap.catalog.states import GenerationState
from bootstrap.commands import command
from bootstrap.dataset import pick_files
from bootstrap.files import partial_files, remove_partial_files
from bootstrap.project import renaming, running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from bootstrap.upkeep.finding import Finding


def in_project(project: Project, catalog: Catalog) -> Iterator[Finding]:
    """Look for what a run or a command that was killed has left in a project on which nothing works."""
    yield from _stale_lease(project, catalog)
    yield from _half_renamed(project)
    yield from _partial(f"project '{project.name}'", _folders(project.folder))
    yield from _unfinished_dataset(project, catalog)
    yield from _interrupted(project, catalog)


def in_workspace(workspace: Workspace) -> Iterator[Finding]:
    """Look for what killed processes left outside the projects: in the workspace's other folders, and by `sid new`."""
    yield from _partial(
        f"workspace {workspace.folder}", _folders(workspace.folder, without_inner=workspace.projects_folder)
    )


def _stale_lease(project: Project, catalog: Catalog) -> Iterator[Finding]:
    lease = leases.find(catalog, project.name)
    if lease is not None:

        def forget() -> str:
            leases.forget(catalog, project.name, lease)
            return f"removed the lease of '{project.name}'"

        yield Finding(
            f"project '{project.name}': a run on {lease.machine} (process {lease.process}) holds its lease, but no "
            "longer sends heartbeats",
            "remove the lease; the next run would also do so, after a while",
            forget,
        )


def _half_renamed(project: Project) -> Iterator[Finding]:
    old = renaming.former_name(project)
    if old is not None:

        def rename() -> str:
            changed = renaming.finish(project)
            return f"completed; {len(changed)} projects have recipes that name it"

        yield Finding(
            f"project '{project.name}': its renaming from '{old}' was interrupted",
            "name it anew in the recipes of the other projects",
            rename,
        )


def _folders(top: Path, without_inner: Path | None = None) -> list[Path]:
    """Return a folder and all folders in it, except hidden ones, and those inside of `without_inner`."""
    found = []
    for folder, inner, _ in os.walk(top):
        found.append(Path(folder))
        inner[:] = [name for name in sorted(inner) if not name.startswith(".")]
        if found[-1] == without_inner:
            inner.clear()
    return found


def _partial(where: str, folders: list[Path]) -> Iterator[Finding]:
    left = sum(len(partial_files(folder)) for folder in folders)
    if left:

        def remove() -> str:
            return f"removed {sum(map(remove_partial_files, folders))} half-written files"

        yield Finding(f"{where}: {left} half-written files of a killed process", "remove them", remove)


def _unfinished_dataset(project: Project, catalog: Catalog) -> Iterator[Finding]:
    if pick_files.is_interrupted(project):

        def finish() -> str:
            with running.exclusively(project):
                pick_files.finish_interrupted(project, catalog)
            return "the files of its dataset are those that the catalog names"

        yield Finding(
            f"project '{project.name}': a process was killed while it changed the dataset",
            "let the files of the dataset follow the catalog, which has the old picks and captions or the new ones",
            finish,
        )


def _interrupted(project: Project, catalog: Catalog) -> Iterator[Finding]:
    for status in generations.statuses(catalog, project.name):
        if status.state.is_begun:
            yield Finding(
                f"project '{project.name}': generation {status.number} is recorded as {status.state}, but nothing runs",
                f"mark it as cancelled; `{command('run', project.name)}` resumes it",
                partial(_cancel, Generation(project, catalog, status.number)),
            )


def _cancel(killed: Generation) -> str:
    killed.set_state(GenerationState.CANCELLED, "its process was killed")
    return f"{killed} is cancelled"
