"""A project's identity: by it the catalog knows the folder again under another name, and tells another one of its name.

The file `.identity` in a project's folder holds it, 32 hex digits. Projects of earlier versions have none; their name
identifies them.
"""

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.project import names

if TYPE_CHECKING:
    from bootstrap.catalog import Catalog

FILE = ".identity"
_IDENTITY = re.compile(r"[0-9a-f]{32}")


def read(folder: Path) -> str | None:
    """Return the identity of a project's folder; None if it has none, or none that can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            text = file.read(64).decode("ascii", "replace").strip()
    except OSError:
        return None
    return text if _IDENTITY.fullmatch(text) else None


def give(folder: Path) -> str:
    """Write a new identity into a project's folder, and return it."""
    identity = uuid.uuid4().hex
    write_text(folder / FILE, f"{identity}\n")
    return identity


def ensured(folder: Path) -> str:
    """Return the identity of a project's folder; give it one if an earlier version made it."""
    return read(folder) or give(folder)


def settle(catalog: "Catalog", projects_folder: Path) -> None:
    """Let the catalog's rows follow the projects' folders, see bootstrap.catalog.identities.

    A copy of a project's folder is a project of its own, and is given an identity of its own.

    Raises:
        UserError: the folder of the projects cannot be read, or a copy cannot be written.
    """
    from bootstrap.catalog import identities  # takes a while to import, and not every verb needs the catalog

    for copy in identities.settle(catalog, _of_projects(projects_folder)):
        try:
            give(projects_folder / copy)
        except OSError as error:
            raise UserError(
                f"project '{copy}': its folder is a copy of another project's, and cannot be written "
                f"({error.strerror}); make it writable, or move it away"
            ) from None
        identities.settle(catalog, _of_projects(projects_folder))


def _of_projects(projects_folder: Path) -> dict[str, str | None]:
    return {name: read(projects_folder / name) for name in names.of_projects(projects_folder)}
