"""Names of projects: what every operating system accepts as a folder's name, and what is in the projects' folder."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.files import TEMPORARY_PREFIX, is_file, partial_files

SETTINGS = "project.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")
# Windows opens a device instead of a file of such a name, with or without an ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\..*)?", re.IGNORECASE)
_OF_FILE_MANAGERS = ("Thumbs.db", "desktop.ini", "Icon\r")


@dataclass(frozen=True)
class Stray:
    """Something in the projects' folder that is no project."""

    path: Path
    what: str  # why it is none
    remedy: str  # what a person can do about it

    def __str__(self) -> str:
        return f"{self.path.name!r} in {self.path.parent} is no project: {self.what}; {self.remedy}"

    @property
    def is_interrupted(self) -> bool:
        """Whether an interrupted `sid new` has left it."""
        return self.path.name.startswith(TEMPORARY_PREFIX)


def check_name(name: str) -> str:
    """Return a project's name if it has the form of one.

    Raises:
        UserError: it is empty, ends in a dot, or has characters other than letters, digits, space and `_ . -`.
    """
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", " ")):
        raise UserError(
            f"project name '{name}': use 1 to 64 letters, digits, spaces, '_', '-' or '.', first a letter or digit"
        )
    return name


def check_new_name(name: str, projects_folder: Path, own: str | None = None) -> str:
    """Return a project's name if a project can be given it.

    Args:
        name: the name.
        projects_folder: where the project's folder is to be.
        own: the present name of a project that is renamed; another spelling of it in capitals is no collision.

    Raises:
        UserError: see check_name; Windows reserves the name; or another project's differs only in capitals.
    """
    check_name(name)
    if _DEVICE.fullmatch(name):
        raise UserError(f"project name '{name}': Windows reserves it for a device; choose another name")
    alike = [
        entry
        for entry in _entries(projects_folder)
        if entry.lower() == name.lower() and entry not in (name, own)
    ]
    if alike:
        raise UserError(
            f"project name '{name}': there is '{alike[0]}' already, and some file systems do not tell capitals from "
            "small letters; choose another name"
        )
    return name


def is_project(projects_folder: Path, name: str) -> bool:
    """Return whether there is a project of this name, spelled like this also where capitals do not count."""
    return is_file(projects_folder / name / SETTINGS) and name in _entries(projects_folder)


def of_projects(projects_folder: Path) -> list[str]:
    """Return the names of all projects in a folder, sorted; what is no project is left out, see strays."""
    return [
        name
        for name in _entries(projects_folder)
        if _is_name(name) and is_file(projects_folder / name / SETTINGS)
    ]


def strays(projects_folder: Path) -> Iterator[Stray]:
    """Yield what is in the projects' folder and no project, apart from the hidden files of other programs."""
    left = partial_files(projects_folder)
    for name in _entries(projects_folder):
        path = projects_folder / name
        if name in _OF_FILE_MANAGERS or (name.startswith(".") and os.path.isfile(path)):  # noqa: PTH113
            continue
        if name.startswith(TEMPORARY_PREFIX):
            if path in left:  # otherwise a `sid new` is at work
                yield Stray(
                    path,
                    "an interrupted `sid new` has left it",
                    f"the next one or `{command('doctor', '--repair')}` removes it",
                )
        elif not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises errors, such as of permissions
            kind = "a link that leads nowhere" if path.is_symlink() else "not a folder"
            yield Stray(path, f"it is {kind}", "move it away")
        elif not _is_name(name):
            yield Stray(path, "sid does not take this name", "rename the folder, or move it away")
        elif not is_file(path / SETTINGS):
            yield Stray(path, _without_settings(path), "move it away, or put the file back")


def _without_settings(folder: Path) -> str:
    try:
        entries = os.listdir(folder)  # noqa: PTH208
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if SETTINGS in entries:
        return f"its {SETTINGS} is no file that can be read"
    return f"it has no {SETTINGS}" if entries else "it is empty"


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except UserError:
        return False
    return True


def _entries(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none if there is no such folder.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  # names suffice, and iterdir fails later
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"folder of the projects {folder}: it cannot be read ({error.strerror})") from None
