"""Open the catalog: engine and sessions; `upgrade` brings its schema up to date."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from bootstrap import reading
from bootstrap.catalog.upgrade import upgrade
from bootstrap.errors import MachineError, UserError, in_one_line, machine_problem
from bootstrap.files import make_folder

_DRIVERS = {name: name for name in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")} | {
    "postgresql": "postgresql+psycopg"
}
_BUSY_SECONDS = 60  # how long a process waits while another one writes
_CONNECT_SECONDS = 30  # how long it waits for a database server
# Key of a PostgreSQL advisory lock: any number that no other program in the database uses.
_WRITER_LOCK = 0x51D_CA7A

# Reading and writing raise this while the database is busy, full or unreachable; a retry may succeed.
Unavailable = OperationalError
# The class of these errors and of those that stay, such as a damaged file; see bootstrap.errors.machine_problem.
DatabaseError = DBAPIError


class Catalog:
    """The catalog of a workspace; opening it upgrades its schema.

    Use `with catalog.read() as session` to read and `with catalog.write() as session` to write; the changes are
    committed when the block ends, or rolled back if it raises.
    """

    def __init__(self, url: str) -> None:
        """Open the catalog at an SQLAlchemy URL; a missing SQLite file and its folder are created.

        Raises:
            UserError: the database does not exist or is damaged, or a newer version of sid made it; a MachineError if
            the fault is the machine's.
        """
        self.url = url
        parsed = _parse(url)
        try:
            self._engine = _engine(parsed)
            upgrade(self._engine, parsed, _shown(parsed), _lock_for_upgrading)
        except (DBAPIError, OSError) as error:
            reason = in_one_line(str(getattr(error, "orig", error)))
            message = f"catalog {_shown(parsed)}: cannot be opened ({reason})"
            problem = machine_problem(error)
            if problem is None or is_shared(url):
                raise UserError(message) from None
            raise MachineError(f"{message}; {problem.partition('; ')[2]}") from error
        self._writing = self._engine.execution_options(sid_begin="IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that only reads."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session that writes; one writer at a time, others wait up to a minute."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def damage(self) -> str:
        """Check a SQLite file for damage, rows and indexes, and return the first problem; empty if there is none."""
        if self._engine.dialect.name != "sqlite":
            return ""
        try:
            with self.read() as session:
                problems = session.scalars(text("PRAGMA integrity_check(1)")).all()
        except DBAPIError as error:  # too damaged to be checked
            return in_one_line(str(error.orig))
        return "" if problems == ["ok"] else in_one_line(str(problems[0]))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def is_shared(url: str) -> bool:
    """Return whether a database server holds the catalog at this URL, so that several machines may use it at once."""
    return _parse(url).get_backend_name() != "sqlite"


def exists(url: str) -> bool:
    """Return whether there may be a catalog at this URL: a database server has one, or a SQLite file is there."""
    parsed = _parse(url)
    return parsed.get_backend_name() != "sqlite" or bool(parsed.database and os.path.lexists(parsed.database))


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        parsed = None
    if parsed is None or parsed.drivername not in _DRIVERS:
        raise UserError(
            "SID_CATALOG_URL: not the URL of a catalog; write postgresql://USER:PASSWORD@HOST/DATABASE, or unset it "
            "to use a SQLite file in the workspace"
        )
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return _postgresql_engine(url)
    if url.database:
        if Path(url.database).is_dir():
            raise UserError(f"catalog {_shown(url)}: it is a folder, where a file is needed; move it away")
        make_folder(Path(url.database).parent)
    engine = create_engine(
        url, connect_args={"timeout": _BUSY_SECONDS}, json_deserializer=reading.parse_catalog_json
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # so that the BEGIN below is the only one
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")  # a verdict that was acknowledged survives a power cut
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts as a reader and then writes fails at once if another process wrote in between,
    # however long the timeout is; one that starts as a writer waits its turn.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sid_begin', '')}".strip())


def _postgresql_engine(url: URL) -> Engine:
    try:
        engine = create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS},
            json_deserializer=reading.parse_catalog_json,
        )  # fmt: skip
    except ModuleNotFoundError:
        raise UserError(
            f"catalog {_shown(url)}: PostgreSQL's client is not installed: pip install 'sid-bootstrap[postgres]'"
        ) from None
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    # As with SQLite, writers take turns: what a writing transaction has read is still true when it commits.
    if connection.get_execution_options().get("sid_begin"):
        _lock_for_writing(connection)


def _lock_for_writing(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _lock_for_upgrading(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # for SQLite, a file's lock is held
        _lock_for_writing(connection)
