"""What two runs must not do at once: Prefect's concurrency limits, one for each project and one for each GPU.

A limit is made when it is first needed, with one slot. Its lease is renewed while the run lives, and the slot of a
run that was killed is free again a minute later.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency

from flows.deadline import DeadlineReached

_LEASE_SECONDS = 60.0  # the shortest that Prefect takes

# A server that was started for one run has nobody else to keep apart, and it ends with its run.
_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Hold no limits within the block: the Prefect server is this run's own."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


@contextmanager
def held(project: str, until: float | None) -> Iterator[None]:
    """Hold the project and this process's GPU until the block ends; waits until both are free.

    Raises:
        DeadlineReached: they were not free before `until`, in seconds since 1970.
    """
    if _alone.get():
        yield
        return
    names = [of_project(project), of_gpu()]
    with get_client(sync_client=True) as client:
        for name in names:
            client.upsert_global_concurrency_limit_by_name(name, 1)
    get_run_logger().info("project '%s': waits for %s", project, " and ".join(names))
    patience = None if until is None else max(0.1, until - time.time())
    with ExitStack() as stack:
        try:
            # A server that is restarted must not end the run: the project's own lock keeps others away all the same.
            stack.enter_context(
                concurrency(
                    names, timeout_seconds=patience, lease_duration=_LEASE_SECONDS,
                    raise_on_lease_renewal_failure=False,
                )
            )  # fmt: skip
        except TimeoutError:
            raise DeadlineReached from None
        yield


def of_project(project: str) -> str:
    """Return the name of a project's limit."""
    return f"sid-project-{project}"


def of_gpu() -> str:
    """Return the name of the limit of the GPU that this process uses; without one it is the machine's."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return f"sid-gpu-{socket.gethostname()}-{visible or '0'}"
