"""When the review of a generation is finished: a fact in the catalog, and news for whoever waits for it."""

import logging
import threading
from collections.abc import Iterable
from importlib.metadata import entry_points

from sqlalchemy import select
from sqlalchemy.orm import Session

from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.tables import CandidateRow, GenerationRow, now

# Other packages are told by entry points of this group: functions of a project's name and a generation's number.
LISTENERS = "sid.review_finished"

_log = logging.getLogger(__name__)


def note(session: Session, generation_ids: Iterable[int]) -> list[int]:
    """Keep `reviewed_at` of these generations true after a change of verdicts, in the same transaction.

    Returns:
        The numbers of those whose last undecided candidate has just got its verdict.
    """
    finished = []
    for generation_id in set(generation_ids):
        row = session.get_one(GenerationRow, generation_id)
        undecided = session.scalar(
            select(CandidateRow.id)
            .where(
                CandidateRow.project_id == row.project_id,  # so that an index answers it at once
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
    """Tell all listeners, beside the caller: a verdict does not wait for a network."""
    for number in numbers:
        threading.Thread(target=_tell, args=(project, number), name="review finished").start()


def _tell(project: str, number: int) -> None:
    for listener in entry_points(group=LISTENERS):
        try:
            listener.load()(project, number)
        except Exception:  # it is none of the reviewer's business, and the verdicts are safe
            _log.exception(
                "%s was not told that generation %d of '%s' is reviewed", listener.name, number, project
            )
