"""Errors that the user can fix: mistakes, and problems of the machine such as a full disk or missing permissions."""

import errno
import sqlite3


class UserError(Exception):
    """A mistake in a setting, a file or a command.

    Its message is one line that names the setting or file, says what is wrong and what to do.
    The command line prints it and exits with code 2; any other exception is a bug of ours, with exit code 1.
    """


def in_one_line(text: str) -> str:
    """Return a user's text, such as a prompt of several lines, on one line for a message."""
    return " ".join(text.split())


_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quotas
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}
# Wrong paths: whichever verb meets one, its path is the user's, or a file or folder of theirs is where sid's own goes.
_WRONG_PATHS = {
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENAMETOOLONG: "the name is longer than the file system takes; choose a shorter one",
    errno.ELOOP: "its links lead in a circle; remove them, or name another path",
    errno.ENOTDIR: "a part of the path is a file, where a folder is needed; move the file away, or name another path",
    errno.EISDIR: "it is a folder, where a file is needed; move it away, or name another path",
    errno.EEXIST: "it is there already, and is no folder; move it away, or name another path",
    errno.ENOTEMPTY: "the folder is not empty; move its content away, or name another path",
    errno.EINVAL: "the file system does not take this name; choose another one",
    errno.ENXIO: "it is no regular file; name another path",
}


def machine_problem(error: BaseException) -> str | None:
    """Return a problem of the machine and what to do, in one line; None if the error is of another kind."""
    inner = getattr(error, "orig", error)  # SQLAlchemy wraps the database's own errors
    if isinstance(inner, OSError):
        path = in_one_line(str(inner.filename or "a file"))
        if inner.errno in _FULL:
            return f"{path}: the disk is full; free some space and run it again, finished work is kept"
        if inner.errno in _DENIED:
            reason = f"it cannot be read or written ({inner.strerror})"
            return f"{path}: {reason}; check its owner and permissions, and run it again"
        if inner.filename and inner.errno in _WRONG_PATHS:
            return f"{path}: {_WRONG_PATHS[inner.errno]}"
    if isinstance(inner, sqlite3.OperationalError):
        if "is full" in str(inner):
            return "catalog: the disk is full; free some space and run it again, finished work is kept"
        if "readonly" in str(inner):
            return "catalog: its file cannot be written; check its owner and permissions, and run it again"
    # Recognised by name, because PostgreSQL's driver is an optional extra.
    if (type(inner).__module__.split(".")[0], type(inner).__name__) == ("psycopg", "OperationalError"):
        reason = in_one_line(str(inner))[:200]
        return f"SID_CATALOG_URL: the database does not answer ({reason}); start it and retry, finished work is kept"
    return None


def reason_of(error: Exception) -> str:
    """Return what went wrong in one line for the catalog, logs and reports; bugs are named with their class."""
    problem = machine_problem(error)
    if problem is not None:
        return problem
    text = in_one_line(str(error))[:500]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
