"""Leases in a catalog that machines share: who works on a project, and whether they still do.

A run counts its heartbeats in its lease. Whoever wants the project watches the count: one that stands still for a while
belongs to a dead run. So no clock of any machine matters, and none has to agree with another one.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bootstrap.catalog import Catalog, Unavailable, leases
from bootstrap.catalog.leases import Lease
from bootstrap.errors import UserError

BEAT_SECONDS = 5.0
DEAD_AFTER_SECONDS = 30.0  # without a beat; a run whose database was away for that long may be taken for dead

_log = logging.getLogger(__name__)


class LeaseLost(RuntimeError):  # noqa: N818  # it is lost
    """This run was silent for so long that another one has taken its project over."""


def is_alive(catalog: Catalog, project: str) -> bool:
    """Whether a run has shown itself lately; goes by the clocks of both machines, which is enough for a display."""
    silence = leases.since_beat(catalog, project)
    return silence is not None and abs(silence.total_seconds()) < DEAD_AFTER_SECONDS


@contextmanager
def held(catalog: Catalog, project: str) -> Iterator[None]:
    """Hold the project's lease, its heart beating in a thread, until the block ends.

    The caller holds the project's lock on this machine: so a lease that another process here has left is a dead one's.

    Raises:
        UserError: a run on another machine is working on this project.
    """
    before = leases.find(catalog, project)
    if before is not None and not before.is_of_this_machine and _beats(catalog, project, before):
        raise UserError(
            f"project '{project}': a generation is running already, on {before.machine}; "
            "wait for it or cancel it (`sid status`)"
        )
    holder = leases.take(catalog, project, before)
    if before is not None:
        _log.warning("project '%s': taken over from a dead run on %s", project, before.machine)
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
    """Called between two steps of the work.

    Raises:
        LeaseLost: another run works on the project meanwhile.
    """
    if _lost:
        raise LeaseLost("another machine has taken the project over, as this one was silent for too long")


def _beats(catalog: Catalog, project: str, seen: Lease) -> bool:
    """Whether the run of a lease lives; returns as soon as that is sure."""
    deadline = time.monotonic() + DEAD_AFTER_SECONDS
    while time.monotonic() < deadline:
        time.sleep(min(1.0, BEAT_SECONDS))
        present = leases.find(catalog, project)
        if present is None:
            return False
        if present != seen:
            return True
    return False


def _keep_beating(catalog: Catalog, holder: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        try:
            if not leases.beat(catalog, holder):
                _lost.add(holder)
                return
        except Unavailable as error:  # the database may be back for the next one
            _log.warning("no heartbeat: the catalog does not answer (%s)", error.orig)
