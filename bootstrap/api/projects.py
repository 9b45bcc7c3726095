"""Open a workspace and its projects, and make a new project."""

from pathlib import Path

from bootstrap.project import projects
from bootstrap.project.projects import Project, Workspace


def open_workspace(folder: Path | str | None = None) -> Workspace:
    """Return the workspace in a folder, which does not have to exist yet.

    Args:
        folder: the folder; None: $SID_WORKSPACE, or else ./sid-workspace.
    """
    return Workspace.locate(folder)


def open_project(workspace: Workspace, name: str) -> Project:
    """Return a project; `project.settings` are its settings, read once.

    Raises:
        UserError: the workspace has no project of this name.
    """
    return workspace.project(name)


def new_project(
    workspace: Workspace,
    name: str,
    image: Path | str,
    caption: str,
    base: str = "papertown",
    recipes: str | None = None,
) -> Project:
    """Make a project from one picture and its caption; after an error nothing of it is left.

    Args:
        image: the original, in any format that Pillow reads.
        caption: tags separated by commas, the subject first.
        base: an embedded base model's name, a diffusers folder, a .safetensors file or a hub id.
        recipes: TOML text of `[[recipe]]` tables; None: `vary` and `eliminate`.

    Raises:
        UserError: the name is taken or cannot be a folder name, the picture cannot be read, or a setting is wrong.
    """
    return projects.create(workspace, name, Path(image), caption, base, recipes)
