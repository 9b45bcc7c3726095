"""Leases in the catalog: which run works on a project; bootstrap.project.leases keeps them beating."""

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from bootstrap.catalog.generations import project_row
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import LeaseRow, ProjectRow, now
from bootstrap.errors import UserError


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


def since_beat(catalog: Catalog, project: str) -> timedelta | None:
    """Return how long ago the run of a project beat, by the clocks of both machines; None where there is no lease."""
    with catalog.read() as session:
        query = select(LeaseRow.beat_at).join(ProjectRow).where(ProjectRow.name == project)
        beat_at = session.scalar(query)
    return None if beat_at is None else now() - beat_at


def take(catalog: Catalog, project: str, before: Lease | None) -> str:
    """Take a project's lease for this process, and return its holder.

    Args:
        before: the lease of a dead run that is taken over; None where there was none.

    Raises:
        UserError: another run has taken it meanwhile.
    """
    holder = uuid.uuid4().hex
    with catalog.write() as session:
        owner = project_row(session, project)
        row = session.get(LeaseRow, owner.id)
        if row is not None and (before is None or row.holder != before.holder):
            raise UserError(f"project '{project}': a generation has just been started on {row.machine}")
        if row is None:
            row = LeaseRow(project_id=owner.id)
            session.add(row)
        row.holder, row.machine, row.process = holder, socket.gethostname(), os.getpid()
        row.beats, row.beat_at = 0, now()
    return holder


def beat(catalog: Catalog, holder: str) -> bool:
    """Count a heartbeat of a holder's; return whether it still has its lease."""
    with catalog.write() as session:
        row = session.scalar(select(LeaseRow).where(LeaseRow.holder == holder))
        if row is None:
            return False
        row.beats, row.beat_at = row.beats + 1, now()
    return True


def remove(catalog: Catalog, holder: str) -> None:
    """Give a holder's lease back, if it still has it."""
    with catalog.write() as session:
        session.execute(delete(LeaseRow).where(LeaseRow.holder == holder))


def forget(catalog: Catalog, project: str, lease: Lease) -> None:
    """Remove the lease of a dead run, unless it has been taken over meanwhile."""
    with catalog.write() as session:
        owner = project_row(session, project)
        session.execute(
            delete(LeaseRow).where(LeaseRow.project_id == owner.id, LeaseRow.holder == lease.holder)
        )
