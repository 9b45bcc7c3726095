"""Which logins have ended: a cookie that somebody has kept does not work after its owner has logged out.

The hashes of these cookies are in a file of the workspace, so that they stay ended when the app starts again, and for
another app on the same workspace.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bootstrap.commands import command
from bootstrap.files import write_text
from review_app.workspace import workspace

FILE = ".review-logged-out"
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_kept: dict[Path, tuple[int, dict[str, float]]] = {}  # by file: when it was changed, and what is in it


def end(cookies: Iterable[str], seconds: float) -> None:
    """End the logins of these cookies.

    Args:
        cookies: their values.
        seconds: how long they would have worked.
    """
    path, now = _path(), time.time()
    with _lock:
        ended = {name: until for name, until in _ended(path).items() if until > now}
        ended |= {_hash(cookie): now + seconds for cookie in cookies}
        write_text(path, json.dumps(ended), 0o600)


def has_ended(cookie: str) -> bool:
    """Return whether the login of this cookie has ended."""
    return _hash(cookie) in _ended(_path())


def _path() -> Path:
    return workspace().folder / FILE


def _ended(path: Path) -> dict[str, float]:
    """Return the hashes in the file and until when they are kept; the file is read again when it has changed."""
    try:
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return {}
    known = _kept.get(path)
    if known is None or known[0] != changed:
        try:
            ended = TypeAdapter(dict[str, float]).validate_json(path.read_bytes())
        except ValidationError:
            _log.error(
                "%s: it is damaged; logins that had ended work again, until `%s` ends all",
                path,
                command("password"),
            )
            ended = {}
        known = (changed, ended)
        _kept[path] = known
    return known[1]


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
