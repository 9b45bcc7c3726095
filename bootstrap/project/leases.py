"""Leases in a catalog that machines share: who works on a project, and whether they still do.

A run counts its heartbeats in its lease. Whoever wants the project watches the count: one that stands still for a while
belongs to a dead run. So no clock of any machine matters, and none has to agree with another one.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import OperationalError

from bootstrap.catalog import Catalog
from bootstrap.catalog.generations import project_row
from bootstrap.catalog.tables import LeaseRow, ProjectRow, now
from bootstrap.errors import UserError

BEAT_SECONDS = 5.0
DEAD_AFTER_SECONDS = 30.0  # without a beat; a run whose database was away for that long may be taken for dead

_log = logging.getLogger(__name__)


class LeaseLost(RuntimeError):  # noqa: N818  # it is lost
    """This run was silent for so long that another one has taken its project over."""


@dataclass(frozen=True)
class Lease:
    """Who works on a project."""

    holder: str
    machine: str
    process: int
    beats: int

    @property
    def is_of_this_machine(self) -> bool:
        """Whether the run was begun on this machine."""
        return self.machine == socket.gethostname()


def find(catalog: Catalog, project: str) -> Lease | None:
    """Return the lease of a project, None where nobody works on it."""
    with catalog.read() as session:
        row = session.scalar(select(LeaseRow).join(ProjectRow).where(ProjectRow.name == project))
    return Lease(row.holder, row.machine, row.process, row.beats) if row else None


def is_alive(catalog: Catalog, project: str) -> bool:
    """Whether a run has shown itself lately; goes by the clocks of both machines, which is enough for a display."""
    with catalog.read() as session:
        query = select(LeaseRow.beat_at).join(ProjectRow).where(ProjectRow.name == project)
        beat_at = session.scalar(query)
    return beat_at is not None and abs((now() - beat_at).total_seconds()) < DEAD_AFTER_SECONDS


@contextmanager
def held(catalog: Catalog, project: str) -> Iterator[None]:
    """Hold the project's lease, its heart beating in a thread, until the block ends.

    The caller holds the project's lock on this machine: so a lease that another process here has left is a dead one's.

    Raises:
        UserError: a run on another machine is working on this project.
    """
    before = find(catalog, project)
    if before is not None and not before.is_of_this_machine and _beats(catalog, project, before):
        raise UserError(
            f"project '{project}': a generation is running already, on {before.machine}; "
            "wait for it or cancel it (`sid status`)"
        )
    mine = _take(catalog, project, before)
    ended = threading.Event()
    heart = threading.Thread(target=_keep_beating, args=(catalog, mine, ended), name="lease", daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()
        _lost.discard(mine)
        with catalog.write() as session:
            session.execute(delete(LeaseRow).where(LeaseRow.holder == mine))


_lost: set[str] = set()  # holders in this process whose project was taken over


def check() -> None:
    """Called between two steps of the work.

    Raises:
        LeaseLost: another run works on the project meanwhile.
    """
    if _lost:
        raise LeaseLost("another machine has taken the project over, as this one was silent for too long")


def forget(catalog: Catalog, project: str, lease: Lease) -> None:
    """Remove the lease of a dead run, unless it has been taken over meanwhile."""
    with catalog.write() as session:
        owner = project_row(session, project)
        session.execute(
            delete(LeaseRow).where(LeaseRow.project_id == owner.id, LeaseRow.holder == lease.holder)
        )


def _beats(catalog: Catalog, project: str, seen: Lease) -> bool:
    """Whether the run of a lease lives; returns as soon as that is sure."""
    deadline = time.monotonic() + DEAD_AFTER_SECONDS
    while time.monotonic() < deadline:
        time.sleep(min(1.0, BEAT_SECONDS))
        found = find(catalog, project)
        if found is None:
            return False
        if found != seen:
            return True
    return False


def _take(catalog: Catalog, project: str, before: Lease | None) -> str:
    mine = uuid.uuid4().hex
    with catalog.write() as session:
        owner = project_row(session, project)
        row = session.get(LeaseRow, owner.id)
        if row is not None and (before is None or row.holder != before.holder):
            raise UserError(f"project '{project}': a generation has just been started on {row.machine}")
        if row is None:
            row = LeaseRow(project_id=owner.id)
            session.add(row)
        elif before is not None:
            _log.warning("project '%s': taken over from a dead run on %s", project, before.machine)
        row.holder, row.machine, row.process = mine, socket.gethostname(), os.getpid()
        row.beats, row.beat_at = 0, now()
    return mine


def _keep_beating(catalog: Catalog, mine: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        try:
            with catalog.write() as session:
                row = session.scalar(select(LeaseRow).where(LeaseRow.holder == mine))
                if row is None:
                    _lost.add(mine)
                    return
                row.beats, row.beat_at = row.beats + 1, now()
        except OperationalError as error:  # the database may be back for the next one
            _log.warning("no heartbeat: the catalog does not answer (%s)", error.orig)
