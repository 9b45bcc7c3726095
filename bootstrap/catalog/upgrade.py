"""Bring the schema of a catalog up to date, with a copy of the old SQLite file first."""

import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from bootstrap.errors import UserError, in_one_line
from bootstrap.files import remove_file, whole_file

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
COPIES = 3  # copies of old catalogs that are kept
_ROOM = 16 * 2**20  # bytes beyond the copy and what the upgrade writes itself

_log = logging.getLogger(__name__)


def upgrade(engine: Engine, url: URL, shown: str, lock_out: Callable[[Connection], None]) -> None:
    """Create the tables of a new catalog, or bring those of an older version of sid up to date.

    An upgrade happens once, however many processes open the catalog, and as one transaction: one that fails or is
    killed leaves the old catalog, and the next opening starts over. Before it, a SQLite file is copied to
    `catalog-REVISION-DATE.sqlite` in its folder; the newest COPIES copies stay. The database of a PostgreSQL server
    is the administrator's to back up. Either way, one line of the log says what was done.

    Args:
        shown: the catalog's URL without its password, for messages.
        lock_out: locks out other writers until the transaction of its connection ends.

    Raises:
        UserError: there is too little room for the copy, the upgrade failed, or a newer version of sid made the
            catalog.
    """
    with _one_at_a_time(url):
        if not _is_up_to_date(engine):
            from alembic.util import CommandError

            try:
                _upgrade(engine, url, shown, lock_out)
            except CommandError as error:
                raise UserError(
                    f"catalog {shown}: another version of sid made it; update this one ({error})"
                ) from None


def _is_up_to_date(engine: Engine) -> bool:
    """Return whether the catalog has the newest schema, without alembic, whose import costs every verb time."""
    newest = max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    with engine.connect() as connection:
        try:
            versions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        except DBAPIError:  # a new catalog, or a damaged one, of which `_upgrade` tells more
            return False
    return versions == [newest]


def _upgrade(engine: Engine, url: URL, shown: str, lock_out: Callable[[Connection], None]) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_current_head()
    old = _revision(engine)
    if old == newest:
        return
    copy = None
    if old is not None:
        _check_known(config, old)
        copy = _copied(url, shown, old)
    try:
        with engine.begin() as connection:
            lock_out(connection)
            if _revision_of(connection) == newest:  # another machine has done it in the meantime
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (DBAPIError, OSError) as error:
        if old is None:
            raise
        reason = in_one_line(str(getattr(error, "orig", error)))
        raise UserError(
            f"catalog {shown}: it could not be upgraded from version {old} to {newest} and is unchanged ({reason})"
            + (f"; a copy of it is {copy}" if copy else "")
        ) from None
    if old is not None:
        _announce(shown, old, newest, copy)
    if copy is not None:
        _remove_old_copies(Path(str(url.database)))


def _one_at_a_time(url: URL) -> AbstractContextManager[object]:
    if url.get_backend_name() != "sqlite":
        return nullcontext()  # the migrating transaction locks out others, also on other machines
    # The lock is held from the first connection on: switching a new database to WAL fails at once, whatever the
    # timeout, while another process is doing the same.
    folder = Path(url.database).parent if url.database else Path.cwd()
    return FileLock(folder / ".catalog-migration.lock")


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _revision_of(connection)


def _revision_of(connection: Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _check_known(config: "Config", revision: str) -> None:
    """Refuse a newer catalog before anything is copied: alembic raises CommandError."""
    from alembic.script import ScriptDirectory

    ScriptDirectory.from_config(config).get_revision(revision)


def _copied(url: URL, shown: str, revision: str) -> Path | None:
    """Copy the file of a SQLite catalog, whole or not at all; None: it is no file."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    path = Path(url.database)
    copy = path.with_name(f"{path.stem}-{revision}-{datetime.now():%Y%m%d}{path.suffix}")
    size = sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}-wal")) if part.exists())
    # As much again: the upgrade writes what it changes beside the old pages before it replaces them.
    needed, free = 2 * size + _ROOM, shutil.disk_usage(path.parent).free
    if free < needed:
        raise UserError(
            f"catalog {shown}: it is of an older version of sid ({revision}), and its copy and the upgrade need "
            f"{needed / 2**20:.0f} MiB of disk, of which {free / 2**20:.0f} MiB are free; free some space first"
        )
    try:
        with (
            whole_file(copy, path.stat().st_mode & 0o777) as temporary,
            closing(sqlite3.connect(path)) as old,
            closing(sqlite3.connect(temporary)) as new,
        ):
            old.backup(new)  # with what still stands in its log, unlike a copy of the file
    except (sqlite3.Error, OSError) as error:
        raise UserError(
            f"catalog {shown}: it is of an older version of sid ({revision}), and the copy of it that an upgrade needs "
            f"cannot be written ({in_one_line(str(error))})"
        ) from None
    return copy


def _announce(shown: str, old: str, newest: str | None, copy: Path | None) -> None:
    back = (
        f"a copy of the old one is {copy}"
        if copy
        else "sid on the other machines must be updated too, and only a backup of the database leads back"
    )
    _log.warning("catalog %s: upgraded from version %s to %s; %s", shown, old, newest, back)


def _remove_old_copies(path: Path) -> None:
    copies = path.parent.glob(f"{path.stem}-[0-9][0-9][0-9][0-9]-????????{path.suffix}")
    for old in sorted(copies, key=lambda copy: copy.stat().st_mtime_ns)[:-COPIES]:
        remove_file(old)
