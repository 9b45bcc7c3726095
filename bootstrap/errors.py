"""Errors that the user can fix: mistakes, and problems of the machine such as a full disk or missing permissions."""

import errno
import logging
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from bootstrap.commands import command

LONGEST_MESSAGE = 500  # characters
# Format characters that spell words and emoji; every other one (bidi overrides, invisible marks) is escaped.
_JOINERS = "\u200c\u200d"


def printable(text: str, longest: int = LONGEST_MESSAGE, keep: str = "") -> str:
    """Return a text as one line of bounded length that a terminal, a log and a page show as it is.

    Line breaks, control characters, escape sequences, bidi overrides, invisible marks and lone surrogates become
    escapes such as `\\n` and `\\x1b`. Of a longer text the middle is left out, because a message ends with what to do.

    Args:
        longest: characters, 20 or more.
        keep: characters to leave as they are, such as "\\n" where several lines are meant.
    """
    cut = len(text) > longest
    if cut:  # before escaping: a text of megabytes must not take seconds
        text = text[:longest] + text[-longest:]
    if not text.isprintable():
        text = "".join(_escaped(sign, keep) for sign in text)
    if not cut and len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def cell(text: str, longest: int) -> str:
    """Return a text as `printable` does, for a cell of a table or the value after a name: its end is cut."""
    line = printable(text[: longest + 1], 10 * longest + 20)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _escaped(sign: str, keep: str) -> str:
    if sign in _JOINERS or sign in keep:
        return sign
    hidden = unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return sign.encode("unicode_escape").decode() if hidden else sign


class UserError(Exception):
    """A mistake in a setting, a file or a command.

    Its message is one printable line that names the setting or file, says what is wrong and what to do.
    The command line prints it and exits with code 2; any other exception is a bug of ours, with exit code 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class MachineError(UserError):
    """A problem of the machine, such as a full disk, where no setting or command was wrong; exit code 1."""


def in_one_line(text: str) -> str:
    """Return a user's text, such as a prompt of several lines, on one line for a message."""
    return " ".join(text.split())


def _known(*names: str) -> set[int]:
    return {getattr(errno, name) for name in names if hasattr(errno, name)}  # not every system has all


_FULL = _known("ENOSPC", "EDQUOT")
_DENIED = _known("EROFS", "EACCES", "EPERM")
_FAILING = _known(
    "EIO", "EFBIG", "EBUSY", "ENOMEM", "EMFILE", "ENFILE", "ENODEV", "ESTALE", "ETIMEDOUT", "EUCLEAN",
    "EREMOTEIO", "EHOSTDOWN",
)  # fmt: skip
_FULL_REMEDY = "the disk is full; free some space and run it again, finished work is kept"
_REBUILT = "move it away, but keep it, and run `%s`, which builds a new one from the projects' folders"
# What SQLite says, and what is wrong and to be done. Source: sqlite3.c, `sqlite3ErrStr`.
_SQLITE = {
    "is full": _FULL_REMEDY,
    "readonly": "its file cannot be written; check its owner and permissions, and run it again",
    "is locked": "another process has been writing to it for too long; wait until that one is done, and run it again",
    "disk I/O error": "its disk cannot be read or written; check the disk and run it again, finished work is kept",
    "no such table": f"a table of it is missing; {_REBUILT}",
    "no such column": f"a column of it is missing; {_REBUILT}",
    "malformed": f"its file is damaged; {_REBUILT}",
    "Could not decode to UTF-8": f"a text in it is damaged; {_REBUILT}",
    "not a database": f"its file is damaged, or no catalog; {_REBUILT}",
    "unable to open": "its file cannot be opened; check its owner and permissions, and run it again",
}
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
    problem = _machine_problem(error)
    return None if problem is None else printable(problem)


def is_wrong_path(error: BaseException) -> bool:
    """Return whether a path is wrong: the user's mistake, unlike the other problems that machine_problem knows."""
    return isinstance(error, OSError) and bool(error.filename) and error.errno in _WRONG_PATHS


def _machine_problem(error: BaseException) -> str | None:
    inner = getattr(error, "orig", error)  # SQLAlchemy wraps the database's own errors
    if isinstance(inner, OSError):
        path = in_one_line(str(inner.filename or "a file"))
        if inner.errno in _FULL:
            return f"{path}: {_FULL_REMEDY}"
        if inner.errno in _DENIED:
            reason = f"it cannot be read or written ({inner.strerror})"
            return f"{path}: {reason}; check its owner and permissions, and run it again"
        if inner.errno in _WRONG_PATHS and is_wrong_path(inner):
            return f"{path}: {_WRONG_PATHS[inner.errno]}"
        if inner.errno in _FAILING:
            reason = f"reading or writing it failed ({inner.strerror})"
            return f"{path}: {reason}; check the disk and run it again, finished work is kept"
    if isinstance(inner, sqlite3.DatabaseError):
        told = next((told for words, told in _SQLITE.items() if words in str(inner)), None)
        return None if told is None else f"catalog: {told.replace('%s', command('reindex'))}"
    # Recognised by name, because PostgreSQL's driver is an optional extra.
    names = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(inner).__mro__}
    if ("psycopg", "OperationalError") in names:
        reason = in_one_line(str(inner))[:200]
        return f"SID_CATALOG_URL: the database does not answer ({reason}); start it and retry, finished work is kept"
    return None


@contextmanager
def as_machine_errors() -> Iterator[None]:
    """Raise a problem of the machine in the block as a MachineError; every other error passes."""
    try:
        yield
    except Exception as error:
        problem = None if isinstance(error, UserError) else machine_problem(error)
        if problem is None:
            raise
        raise (UserError if is_wrong_path(error) else MachineError)(problem) from error


def reason_of(error: Exception) -> str:
    """Return what went wrong in one line for the catalog, logs and reports; bugs are named with their class."""
    problem = machine_problem(error)
    if problem is not None:
        return problem
    text = in_one_line(str(error))
    return printable(text if isinstance(error, UserError) else f"{type(error).__name__}: {text}")


_OURS = ("bootstrap", "flows", "review_app")
_OF_RUNS = ("prefect.flow_runs", "prefect.task_runs")
_make_record = logging.getLogRecordFactory()


def keep_logs_printable() -> None:
    """Make each log record of this package and of its flows one printable line, whatever handles it."""
    logging.setLogRecordFactory(_printable_record)


def _printable_record(*args: object, **kwargs: object) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    if record.name.split(".")[0] in _OURS or record.name.startswith(_OF_RUNS):
        record.msg, record.args = printable(record.getMessage()), None
    return record
