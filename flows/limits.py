"""Prefect's concurrency limits that keep two runs off the same project and the same GPU.

A limit is created with one slot when it is first needed. A run renews its lease while it lives; the slot of a killed
run is free again after a minute.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency

from flows.deadline import DeadlineReached
from flows.run_log import run_log

_LEASE_SECONDS = 60.0  # the shortest that Prefect accepts

# True in a run that has started a Prefect server for itself: no other run needs to be kept apart.
_is_only_run: ContextVar[bool] = ContextVar("is_only_run", default=False)


@contextmanager
def without_limits() -> Iterator[None]:
    """Make `held` do nothing within the block, because the Prefect server serves only this run."""
    token = _is_only_run.set(True)
    try:
        yield
    finally:
        _is_only_run.reset(token)


@contextmanager
def held(project: str, until: float | None) -> Iterator[None]:
    """Wait until the project and this process's GPU are free, and hold both until the block ends.

    Raises:
        DeadlineReached: they were not free by `until`, in seconds since 1970.
    """
    if _is_only_run.get():
        yield
        return
    names = [project_limit(project), gpu_limit()]
    with get_client(sync_client=True) as client:
        for name in names:
            client.upsert_global_concurrency_limit_by_name(name, 1)
    run_log().info("project '%s': waiting for %s", project, " and ".join(names))
    timeout = None if until is None else max(0.1, until - time.time())
    with ExitStack() as stack:
        try:
            # A restart of the server must not end the run; the project's own lock still keeps other runs away.
            stack.enter_context(
                concurrency(
                    names, timeout_seconds=timeout, lease_duration=_LEASE_SECONDS,
                    raise_on_lease_renewal_failure=False,
                )
            )  # fmt: skip
        except TimeoutError:
            raise DeadlineReached from None
        try:
            yield
        finally:
            try:
                stack.close()
            except (
                Exception
            ) as error:  # a server that is gone must not hide how the run has ended; the lease expires
                run_log().warning("project '%s': its limits were not released (%s)", project, error)


def project_limit(project: str) -> str:
    """Return the name of a project's limit."""
    return f"sid-project-{project}"


def gpu_limit() -> str:
    """Return the name of the limit of this process's GPU, or of the machine if it has none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return f"sid-gpu-{socket.gethostname()}-{visible or '0'}"
