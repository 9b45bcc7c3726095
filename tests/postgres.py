"""The tests' own PostgreSQL server, on loopback, from Debian's package."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from flows.server import free_port

_OWNER = "postgres"  # Debian's account: the server refuses to run as root


class PostgresMissingError(Exception):
    """PostgreSQL is not installed, or there is no account to run it."""


class Postgres:
    """A running server; `new_database` creates databases in it."""

    def __init__(self, port: int) -> None:
        self._server = f"postgresql+psycopg://sid@127.0.0.1:{port}"
        self._numbers = count(1)

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"catalog{next(self._numbers)}"
        engine = sa.create_engine(f"{self._server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{self._server}/{name}"


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server, and stop it after the block.

    Raises:
        PostgresMissingError: the reason.
    """
    programs = _programs()
    # Root runs the server under Debian's account, anyone else under their own.
    owner = _OWNER if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="sid-postgres-", dir="/tmp"))
    try:
        if owner:
            try:
                shutil.chown(folder, owner)
            except LookupError:
                raise PostgresMissingError(
                    f"PostgreSQL does not run as root, and there is no account '{owner}'"
                ) from None
        data, port = folder / "data", free_port()

        def call(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments], check=True, user=owner, cwd=folder, stdout=subprocess.DEVNULL
            )  # fmt: skip

        call("initdb", "-D", str(data), "-U", "sid", "--auth=trust", "--no-sync", "--encoding=UTF8")
        settings = (
            f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        )
        call("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", settings, "start")
        try:
            yield Postgres(port)
        finally:
            call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not installed and not on_path:
        raise PostgresMissingError("PostgreSQL is not installed (Debian's package: postgresql)")
    return installed[-1].parent if installed else Path(str(on_path)).parent
