"""A time of day at which a night's work stops: training is saved and drawing ends, tomorrow goes on from there."""

import re
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report


class DeadlineReached(Exception):  # noqa: N818  # nothing is wrong
    """The station was stopped at the deadline; what it has made is kept."""


def check(clock_time: str) -> str:
    """Return a time of day such as 07:00.

    Raises:
        UserError: it is none.
    """
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", clock_time):
        raise UserError(f"--deadline {clock_time}: no time of day; write hours and minutes as in 07:00")
    return clock_time


def next_time(clock_time: str, timezone: str, now: datetime) -> datetime:
    """Return when it is next that time of day there, after `now` (which knows its time zone)."""
    hours, minutes = map(int, clock_time.split(":"))
    today = now.astimezone(ZoneInfo(timezone)).replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def stopping(report: Report, until: float | None) -> Report:
    """Return a report that stops the station which calls it once it is `until`, in seconds since 1970.

    A station reports when what it tells of is safe: a batch after its rows are written, a training after each step,
    which goes on from its last finished epoch.
    """
    if until is None:
        return report

    def tell(progress: Progress) -> None:
        report(progress)
        if time.time() >= until and progress.done < progress.total:
            raise DeadlineReached

    return tell
