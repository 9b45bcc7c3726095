"""One run at a time works on a project.

On one machine, a file lock ensures this; the operating system frees it when its process dies. Where several machines
share the catalog, a lease in the catalog ensures it across machines (bootstrap.project.leases).
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from filelock import FileLock, Timeout

from bootstrap.catalog import Catalog
from bootstrap.catalog.store import is_shared
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.project import leases
from bootstrap.project.projects import Project

# `is_running` holds the lock for a moment to see whether it is free, so a run waits this long for it.
_LOCK_WAIT_SECONDS = 1.0


@contextmanager
def exclusively(project: Project) -> Iterator[None]:
    """Hold the project for one run; the lock is released even if the process dies.

    Raises:
        UserError: another process, here or on another machine, is working on this project.
    """
    lock = FileLock(project.lock_file)
    try:
        lock.acquire(timeout=_LOCK_WAIT_SECONDS)
    except Timeout:
        raise UserError(
            f"project '{project.name}': a generation is running already; "
            f"wait for it or cancel it (`{command('status')}`)"
        ) from None
    except OSError as error:
        raise _unusable_lock(project, error) from None
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
    """Return whether a process, on this or another machine, is working on this project now.

    Raises:
        UserError: the project's folder cannot be written, or something else has the name of its lock.
    """
    lock = FileLock(project.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError as error:
        raise _unusable_lock(project, error) from None
    lock.release()
    url = project.workspace.catalog_url
    if not is_shared(url):
        return False
    with closing(Catalog(url)) as catalog:
        return leases.is_alive(catalog, project.name)


def _unusable_lock(project: Project, error: OSError) -> UserError:
    return UserError(
        f"project '{project.name}': its lock {project.lock_file} cannot be used ({error.strerror}); make the folder "
        "writable, and move away what else has that name"
    )
