"""The errors that a user can mend: mistakes, and a machine whose disk is full or whose folders are shut."""

import errno
import sqlite3


class UserError(Exception):
    """A mistake in a setting, a file or a command.

    Its message is one line that names the setting or file, says what is wrong and what to do.
    The command line prints it and exits with code 2; every other exception is ours and exits with 1.
    """


def in_one_line(text: str) -> str:
    """Return a user's text as a message can quote it: a prompt may have several lines."""
    return " ".join(text.split())


_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quotas
_SHUT = {errno.EROFS, errno.EACCES, errno.EPERM}


def of_the_machine(error: BaseException) -> str | None:
    """Return in one line what of the machine stands in the way and what to do; None: it is an error of another kind."""
    inner = getattr(error, "orig", error)  # SQLAlchemy's errors have the database's own inside
    if isinstance(inner, OSError):
        what = in_one_line(str(inner.filename or "a file"))
        if inner.errno in _FULL:
            return f"{what}: the disk is full; free some space and run it again, what was done is kept"
        if inner.errno in _SHUT:
            return f"{what}: it may not be read or written ({inner.strerror}); look at whose it is, and run it again"
    if isinstance(inner, sqlite3.OperationalError):
        if "is full" in str(inner):
            return "catalog: the disk is full; free some space and run it again, what was done is kept"
        if "readonly" in str(inner):
            return "catalog: its file may not be written; look at whose it is, and run it again"
    # By their names: the driver of PostgreSQL is an extra.
    if (type(inner).__module__.split(".")[0], type(inner).__name__) == ("psycopg", "OperationalError"):
        reason = in_one_line(str(inner))[:200]
        return f"SID_CATALOG_URL: the database does not answer ({reason}); start it and run again, what is done is kept"
    return None


def reason_of(error: Exception) -> str:
    """Return what went wrong as one line for catalog, logs and reports; an error of ours is named with its class."""
    reason = of_the_machine(error)
    if reason is not None:
        return reason
    text = in_one_line(str(error))[:500]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
