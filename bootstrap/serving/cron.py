"""When a schedule runs: a cron expression that every reader understands alike.

Prefect takes more than cron: a sixth field, which it reads as seconds behind the weekday where others read them before
the minutes, words such as @daily, and parts such as 5/10 or 1-31, of which its reader and Debian's cron make different
days. Such an expression would run at other times than the person means.
"""

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from bootstrap.errors import UserError

_ALL = re.compile(r"\*(/\d{1,2})?")
_VALUE = re.compile(r"\d{1,2}|[A-Z]{3}")
_RANGE = re.compile(r"0?(\d{1,2})-0?(\d{1,2})(?:/\d{1,2})?|([A-Z]{3})-([A-Z]{3})(?:/\d{1,2})?")
_ADVICE = "give minute, hour, day, month and weekday as in '0 1 * * *'"
_LONGEST = 100  # characters


def checked(cron: str, name: str) -> str:
    """Return a cron expression if it is plain and comes due.

    Args:
        cron: minute, hour, day, month, weekday.
        name: what the person calls it, for messages.

    Raises:
        UserError: it is not such an expression.
    """
    fields = cron.split()
    shown = f"{name} '{cron[:_LONGEST]}'"
    if len(fields) == 6:
        raise UserError(f"{shown}: it has six fields, and seconds cannot be set; {_ADVICE}")
    if len(cron) > _LONGEST or len(fields) != 5 or not all(map(_is_plain, fields)):
        raise UserError(f"{shown}: not a cron schedule; {_ADVICE}")
    try:
        schedule = CronSim(cron.upper(), datetime.now(UTC))
        if "*" not in (fields[2], fields[4]) and _is_ambiguous(schedule, fields):
            raise UserError(f"{shown}: day and weekday are both limited; write * for one of them")
        next(schedule)
    except CronSimError:
        raise UserError(f"{shown}: not a cron schedule; {_ADVICE}") from None
    except StopIteration:
        raise UserError(f"{shown}: such a day never comes; {_ADVICE}") from None
    return cron


def _is_plain(field: str) -> bool:
    """Return whether a field is *, */2, or a list of values and ranges; 5/2, 5-5, 1-MON and 1,* have two readings."""
    return bool(_ALL.fullmatch(field)) or all(map(_is_plain_item, field.upper().split(",")))


def _is_plain_item(item: str) -> bool:
    if _VALUE.fullmatch(item):
        return True
    match = _RANGE.fullmatch(item)
    return match is not None and (match[1], match[3]) != (match[2], match[4])


def _is_ambiguous(schedule: CronSim, fields: list[str]) -> bool:
    """Return whether Prefect drops a limit of day or weekday, or meets either where cron meets both."""
    is_stepped = fields[2].startswith("*") or fields[4].startswith("*")
    return is_stepped or len(schedule.days) >= 31 or len(schedule.weekdays) >= 7
