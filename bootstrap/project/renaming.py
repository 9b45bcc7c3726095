"""Rename a project: its folder, its name in the catalog, and the recipes of other projects that draw with its LoRA.

The folder is renamed in one step; the catalog follows it by the project's identity. Until the recipes are changed too,
the folder has a file with the former name, so that an interrupted renaming can be completed.
"""

from pathlib import Path

from bootstrap import reading
from bootstrap.catalog import Catalog
from bootstrap.errors import UserError
from bootstrap.files import move, remove_file, write_text
from bootstrap.project import editing, identity, names, projects, running
from bootstrap.project.projects import Project, Workspace

_FORMER_NAME = ".renamed-from"


def rename(workspace: Workspace, old: str, new: str, catalog: Catalog) -> list[str]:
    """Rename a project; complete the renaming if an earlier one was interrupted.

    Returns:
        The names of the projects whose recipes draw with its LoRA, and name it anew.

    Raises:
        UserError: there is no such project, the new name is taken or not possible, a run works on the project, or its
            folder cannot be renamed.
    """
    if _is_half_renamed(workspace, old, new):
        return finish(workspace.project(new))
    project, target = workspace.project(old), Project(workspace, new)
    if new == old:
        raise UserError(f"project '{old}': that is its name already")
    with workspace.changing_projects(), running.exclusively(project):
        names.check_new_name(new, workspace.projects_folder, own=old)
        if not (
            target.folder.exists() and target.folder.samefile(project.folder)
        ):  # capitals do not count here
            projects.check_free(target)
        identity.ensured(project.folder)
        identity.settle(catalog, workspace.projects_folder)  # its row has the identity now
        try:
            write_text(project.folder / _FORMER_NAME, f"{old}\n")
            move(project.folder, target.folder)
        except OSError as error:
            raise UserError(
                f"project '{old}': its folder cannot be renamed to {target.folder} ({error.strerror or error})"
            ) from None
        identity.settle(catalog, workspace.projects_folder)
        return finish(target)


def former_name(project: Project) -> str | None:
    """Return the name that a project had before a renaming that was interrupted; None: none was."""
    try:
        name = (project.folder / _FORMER_NAME).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return None if name == project.name else name


def finish(project: Project) -> list[str]:
    """Complete the renaming of a project, and return the names of the projects whose recipes name it anew."""
    old, changed = former_name(project), []
    for name in project.workspace.project_names() if old else []:
        other = Project(project.workspace, name)
        try:
            text = editing.with_other_project(other, old or "", project.name)
        except (UserError, OSError):
            continue  # its settings cannot be read at all
        if text is not None:
            write_text(other.toml, text)
            changed.append(name)
    remove_file(project.folder / _FORMER_NAME)
    return changed


def mentions(project: Project, old: str) -> list[Path]:
    """Return the settings files of the workspace that have the path of the project's former folder in them."""
    workspace, found = project.workspace, []
    paths = (f"{workspace.projects_folder / old}/", f"../{old}/")
    for name in workspace.project_names():
        toml = Project(workspace, name).toml
        try:
            text = reading.text_file(toml, str(toml), reading.MOST_BYTES_OF_TOML)
        except (OSError, UserError):
            continue
        if any(path in text for path in paths):
            found.append(toml)
    return found


def _is_half_renamed(workspace: Workspace, old: str, new: str) -> bool:
    there = workspace.project_names()
    return old not in there and new in there and former_name(Project(workspace, new)) == old
