"""Which row of the catalog belongs to which project's folder, whatever happens to the folders.

The catalog finds a project by its name, but a folder may be deleted, moved away and back, renamed or copied while sid
does not look. So each folder has an identity (see bootstrap.project.identity) that its row also has. `settle` gives the
rows the names that their folders have now.

A row whose folder is gone is set aside when another project takes the name: its name then starts with a slash, which no
project's name does. Its candidates and verdicts wait there until the folder comes back.
"""

import uuid
from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import ProjectRow

_ASIDE = "/"
_DELETED = "/deleted/"
_MOST_CHARACTERS = 64  # of the column


def settle(catalog: Catalog, folders: Mapping[str, str | None]) -> list[str]:
    """Give each project's row the name that its folder has now, and each new folder with an identity a row.

    Args:
        folders: the identity of each project's folder by its name; None: an earlier version made it.

    Returns:
        The names of the folders that are copies of another one; they need an identity of their own.
    """
    with catalog.read() as session:
        names = {row.identity: row.name for row in session.scalars(select(ProjectRow))}
        legacy = set(
            session.scalars(select(ProjectRow.name).where(ProjectRow.name.in_(map(_legacy, folders))))
        )
    if all(
        names.get(identity) == name if identity else _legacy(name) not in legacy
        for name, identity in folders.items()
    ):
        return []
    with catalog.write() as session:
        return [name for name, identity in folders.items() if not _settled(session, folders, name, identity)]


def set_aside(catalog: Catalog, name: str) -> None:
    """Keep the row of a removed project, if there is one, from a new project that takes its name."""
    with catalog.read() as session:
        if _named(session, name) is None:
            return
    with catalog.write() as session:
        row = _named(session, name)
        if row is not None:
            _set_aside(session, row)


def mark_deleted(catalog: Catalog, identity: str) -> None:
    """Record that a person has deleted the project with this identity: its row is kept, under no project's name."""
    with catalog.write() as session:
        row = _of(session, identity)
        if row is not None:
            row.name = f"{_DELETED}{identity}"


def deleted(catalog: Catalog) -> list[str]:
    """Return the identities of the projects that a person has deleted, and whose rows are still there."""
    with catalog.read() as session:
        query = select(ProjectRow.identity).where(ProjectRow.name.startswith(_DELETED))
        return [identity for identity in session.scalars(query) if identity]


def remove(catalog: Catalog, identity: str) -> None:
    """Remove all that the catalog has of the project with this identity."""
    with catalog.write() as session:
        session.execute(delete(ProjectRow).where(ProjectRow.identity == identity))


def _settled(session: Session, folders: Mapping[str, str | None], name: str, identity: str | None) -> bool:
    """Give one folder's row the folder's name; return False if the folder is a copy of another one."""
    here = _named(session, name)
    if identity is None:
        own = _named(session, _legacy(name))
        if own is None or (here is not None and here.identity is None):
            return True
    else:
        own = _of(session, identity)
        if own is not None and own is not here and folders.get(own.name) == identity:
            return False
        if own is None and here is not None and here.identity is None:
            here.identity = identity
            return True
    if own is None or own is not here:
        if here is not None:
            _set_aside(session, here)
        if own is None:
            session.add(ProjectRow(name=name, identity=identity))
        else:
            own.name = name
        session.flush()
    return True


def _set_aside(session: Session, row: ProjectRow) -> None:
    aside = f"{_ASIDE}{row.identity}" if row.identity else _legacy(row.name)
    if _named(session, aside) is not None:
        aside = f"{_ASIDE}{uuid.uuid4().hex}"
    row.name = aside
    session.flush()


def _legacy(name: str) -> str:
    """Return the name under which a row without an identity is set aside."""
    return f"{_ASIDE}{name}"[:_MOST_CHARACTERS]


def _named(session: Session, name: str) -> ProjectRow | None:
    return session.scalar(select(ProjectRow).where(ProjectRow.name == name))


def _of(session: Session, identity: str) -> ProjectRow | None:
    return session.scalar(select(ProjectRow).where(ProjectRow.identity == identity))
