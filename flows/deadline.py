"""The time of day at which a night's work stops: finished work is kept, and the next night resumes there."""

import re
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report


class DeadlineReached(Exception):  # noqa: N818  # nothing is wrong
    """The station was stopped at the deadline; its finished work is kept."""


def checked_time_of_day(clock_time: str) -> str:
    """Return a time of day such as 07:00 if it is well-formed.

    Raises:
        UserError: it is not a time of day.
    """
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", clock_time):
        raise UserError(f"--deadline {clock_time}: not a time of day; write hours and minutes as in 07:00")
    return clock_time


def next_time(clock_time: str, timezone: str, now: datetime) -> datetime:
    """Return the next moment after `now` (with a time zone) at which it is that time of day in `timezone`."""
    hours, minutes = map(int, clock_time.split(":"))
    today = now.astimezone(ZoneInfo(timezone)).replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def stopping(report: Report, until: float | None) -> Report:
    """Return a Report that raises DeadlineReached in the station that calls it, from `until` on (seconds since 1970).

    Stopping there loses little: a station reports a batch once its rows are written, and a training, which reports
    after each step, resumes from its last finished epoch.
    """
    if until is None:
        return report

    def report_or_stop(progress: Progress) -> None:
        report(progress)
        if time.time() >= until and progress.done < progress.total:
            raise DeadlineReached

    return report_or_stop
