"""Leases in a shared catalog: which run works on a project, and whether that run is still alive.

A run counts its heartbeats in its lease. A process that wants the project watches the count: if the count stands still
for DEAD_AFTER_SECONDS, the run is dead. The machines' clocks do not matter and need not agree.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bootstrap.catalog import Catalog, Unavailable, leases
from bootstrap.catalog.leases import Lease
from bootstrap.commands import command
from bootstrap.errors import UserError

BEAT_SECONDS = 5.0
# Without a heartbeat; a run that could not reach its database for this long may also be taken for dead.
DEAD_AFTER_SECONDS = 30.0

_log = logging.getLogger(__name__)


class LeaseLost(RuntimeError):  # noqa: N818  # the name says what happened
    """This run sent no heartbeat for so long that another run has taken over its project."""


def is_alive(catalog: Catalog, project: str) -> bool:
    """Return whether a run has sent a heartbeat lately, by both machines' clocks, which is good enough for display."""
    silence = leases.since_beat(catalog, project)
    return silence is not None and abs(silence.total_seconds()) < DEAD_AFTER_SECONDS


@contextmanager
def held(catalog: Catalog, project: str) -> Iterator[None]:
    """Hold the project's lease until the block ends, with a thread that sends its heartbeats.

    The caller holds the project's lock on this machine, so a lease of another process on this machine belongs to a
    dead run.

    Raises:
        UserError: a run on another machine is working on this project.
    """
    existing = leases.find(catalog, project)
    if existing is not None and not existing.is_of_this_machine and _beats(catalog, project, existing):
        raise UserError(
            f"project '{project}': a generation is running already, on {existing.machine}; "
            f"wait for it or cancel it (`{command('status')}`)"
        )
    holder = leases.take(catalog, project, existing)
    if existing is not None:
        _log.warning("project '%s': taken over from a dead run on %s", project, existing.machine)
    ended = threading.Event()
    heart = threading.Thread(target=_keep_beating, args=(catalog, holder, ended), name="lease", daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()
        _lost.discard(holder)
        leases.remove(catalog, holder)


_lost: set[str] = set()  # holders in this process whose project was taken over


def check() -> None:
    """Check that this process still holds its leases; called between steps of the work.

    Raises:
        LeaseLost: another run has taken over the project.
    """
    if _lost:
        raise LeaseLost(
            "another machine has taken over the project, because this one sent no heartbeat for too long"
        )


def _beats(catalog: Catalog, project: str, seen: Lease) -> bool:
    """Return whether the lease's run is alive, as soon as that is certain."""
    deadline = time.monotonic() + DEAD_AFTER_SECONDS
    while time.monotonic() < deadline:
        time.sleep(min(1.0, BEAT_SECONDS))
        current = leases.find(catalog, project)
        if current is None:
            return False
        if current != seen:
            return True
    return False


def _keep_beating(catalog: Catalog, holder: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        try:
            if not leases.beat(catalog, holder):
                _lost.add(holder)
                return
        except Unavailable as error:  # the database may be back for the next beat
            _log.warning("no heartbeat: the catalog does not answer (%s)", error.orig)
