"""When the review of a generation is finished: record it in the catalog and notify the listeners."""

import logging
import threading
from collections.abc import Iterable
from contextvars import copy_context
from functools import partial
from importlib.metadata import entry_points

from sqlalchemy import select
from sqlalchemy.orm import Session

from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.tables import CandidateRow, GenerationRow, now

# Listeners of other packages: entry points of this group, functions of a project's name and a generation's number.
LISTENERS = "sid.review_finished"

_log = logging.getLogger(__name__)


def note(session: Session, generation_ids: Iterable[int]) -> list[int]:
    """Update `reviewed_at` of these generations after a change of verdicts, in the same transaction.

    Returns:
        The numbers of the generations whose last undecided candidate has just got its verdict.
    """
    finished = []
    for generation_id in set(generation_ids):
        row = session.get_one(GenerationRow, generation_id)
        undecided = session.scalar(
            select(CandidateRow.id)
            .where(
                CandidateRow.project_id == row.project_id,  # so that the query can use an index
                CandidateRow.generation_id == generation_id,
                CandidateRow.state == CandidateState.PUBLISHED,
                CandidateRow.verdict == Verdict.UNDECIDED,
            )
            .limit(1)
        )
        if undecided is not None:
            row.reviewed_at = None
        elif row.reviewed_at is None:
            row.reviewed_at = now()
            finished.append(row.number)
    return finished


def announce(project: str, numbers: Iterable[int]) -> None:
    """Notify all listeners in threads of their own, so that a verdict does not wait for a network."""
    for number in numbers:
        notify = partial(copy_context().run, _notify, project, number)  # a listener asks for the workspace
        threading.Thread(target=notify, name="review finished").start()


def _notify(project: str, number: int) -> None:
    for listener in entry_points(group=LISTENERS):
        try:
            listener.load()(project, number)
        except Exception:  # a listener's failure must not disturb the reviewer; the verdicts are safe
            _log.exception(
                "%s could not be notified that generation %d of '%s' is reviewed",
                listener.name,
                number,
                project,
            )
