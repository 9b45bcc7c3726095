"""Who works on a project right now: one run at a time.

On one machine a lock tells it that the operating system keeps, and frees when its process dies. Where the catalog is
shared by machines, a lease in the catalog tells it as well (bootstrap.project.leases).
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from filelock import FileLock, Timeout

from bootstrap.catalog import Catalog
from bootstrap.catalog.store import is_shared
from bootstrap.errors import UserError
from bootstrap.project import leases
from bootstrap.project.projects import Project

# `is_running` holds the lock for a moment to see whether it is free; whoever wants it waits that long.
_LOOK_SECONDS = 1.0


@contextmanager
def exclusively(project: Project) -> Iterator[None]:
    """Hold the project for one run; it is free again when the process dies.

    Raises:
        UserError: another process, here or on another machine, is working on this project.
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
        url = project.workspace.catalog_url
        if not is_shared(url):
            yield
            return
        with closing(Catalog(url)) as catalog, leases.held(catalog, project.name):
            yield
    finally:
        lock.release()


def is_running(project: Project) -> bool:
    """Whether a process, here or on another machine, is working on this project right now."""
    lock = FileLock(project.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    url = project.workspace.catalog_url
    if not is_shared(url):
        return False
    with closing(Catalog(url)) as catalog:
        return leases.is_alive(catalog, project.name)
