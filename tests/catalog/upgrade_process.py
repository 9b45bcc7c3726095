"""A process that opens a catalog once per line of its input, each time in a fork.

    python -m tests.catalog.upgrade_process URL

A line is where the fork is killed: "statement N" at the N-th statement of the database, "copy" when the copy of the old
file is complete but not yet named, "no" nowhere. It prints the fork's exit code; "together N" opens in N forks at once.
"""

import logging
import os
import signal
import sys

import sqlalchemy as sa

from bootstrap.catalog import Catalog


def kill() -> None:
    """Die as a process does that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_statement(number: int) -> None:
    """Die when the database gets its statement of this number."""
    left = number

    def before(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            kill()

    sa.event.listen(sa.Engine, "before_cursor_execute", before)


def fork(url: str, where: str) -> int:
    """Open the catalog in a fork; return its process id."""
    process = os.fork()
    if process:
        return process
    if where == "copy":
        os.fsync = lambda _: kill()  # type: ignore[assignment]
    elif where.startswith("statement"):
        kill_at_statement(int(where.split()[1]))
    code = 1
    try:
        Catalog(url).close()
        code = 0
    finally:
        os._exit(code)


def main(url: str) -> None:
    """Open the catalog once per line."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for line in sys.stdin:
        where = line.strip()
        count = int(where.split()[1]) if where.startswith("together") else 1
        forks = [fork(url, where) for _ in range(count)]
        print(*[os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in forks], flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
