"""What all tasks share: a station of one project, tried again when what went wrong may pass."""

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task
from sqlalchemy.exc import OperationalError

from bootstrap.catalog import Catalog
from bootstrap.project import Project, Workspace

# What may be gone on the next try: a full disk, a hiccup of a shared folder, memory that others held.
_PASSING = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EAGAIN", "EBUSY", "ENOMEM", "ESTALE", "ETIMEDOUT")
    if hasattr(errno, name)  # Windows has no quotas
}


_LOST = {
    "OutOfMemoryError",
    "WorkerCrashedError",
    "NodeDiedError",
    "CrashedRun",
}  # the last ones tell of Ray's workers


def can_pass(error: object) -> bool:
    """Whether another try may go well: memory or disk ran out, the catalog was busy; not a wrong setting."""
    if isinstance(error, MemoryError | OperationalError):
        return True
    if isinstance(error, OSError):
        return error.errno in _PASSING
    # torch's own class, by name: this module must not cost the seconds that importing torch takes. Training
    # tells it as the user's mistake, which it may be; but the memory may also have been held by others.
    kinds = {type(error).__name__, type(getattr(error, "__cause__", None)).__name__}
    return bool(kinds & _LOST) or "can't allocate memory" in str(error)


def _retry(_: "Task[..., Any]", __: TaskRun, state: "State[Any]") -> bool:
    return can_pass(state.data)


# A station keeps what it has made, so another try does only the rest. Nothing is cached by Prefect: what a
# generation has is in the catalog.
STATION: dict[str, Any] = {
    "cache_policy": NO_CACHE, "retries": 2, "retry_delay_seconds": [2, 60], "retry_condition_fn": _retry
}  # fmt: skip


@contextmanager
def opened(workspace: str, project: str) -> Iterator[tuple[Project, Catalog]]:
    """Yield a project with its catalog."""
    found = Workspace.locate(workspace).project(project)
    with closing(Catalog(found.workspace.catalog_url)) as catalog:
        yield found, catalog
