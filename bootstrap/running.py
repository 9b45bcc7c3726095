"""Who works on a project right now: one process at a time, told by a lock that the operating system keeps."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from bootstrap.errors import UserError
from bootstrap.project import Project

# `is_running` holds the lock for a moment to see whether it is free; whoever wants it waits that long.
_LOOK_SECONDS = 1.0


@contextmanager
def exclusively(project: Project) -> Iterator[None]:
    """Hold the project for one run; the operating system frees it when the process dies.

    Raises:
        UserError: another process is working on this project.
    """
    lock = FileLock(project.lock_file)
    try:
        lock.acquire(timeout=_LOOK_SECONDS)
    except Timeout:
        raise UserError(
            f"project '{project.name}': a generation is running already; "
            "wait for it or cancel it (`sid status`)"
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_running(project: Project) -> bool:
    """Whether a process on this machine is working on this project right now."""
    lock = FileLock(project.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
