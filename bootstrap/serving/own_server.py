"""The login and the address of the server that `sid` starts for a workspace, for every process that asks that server.

Both are files in the workspace that only its owner can read. The login is made once; the address is there while a
server runs, so that the login is sent to that server and to no other.
"""

import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.files import remove_file, write_text

LOGIN_FILE = ".server-login"
LOG_NAME = "sid"  # the last part of the name of the log that our lines in Prefect's come from
_ADDRESS_FILE = ".server-address"
_USER = "sid"
_PRIVATE = 0o600


def login(folder: Path) -> str:
    """Return the login of a workspace's own server as `user:password`; make it if there is none.

    Args:
        folder: the workspace's folder.

    Raises:
        UserError: the file holds no login.
    """
    path = folder / LOGIN_FILE
    if not path.exists():
        write_text(path, f"{_USER}:{secrets.token_urlsafe(32)}\n", _PRIVATE)
    text = path.read_text("utf-8", errors="replace").strip()
    user, colon, password = text.partition(":")
    if not (user and colon and password) or not text.isascii() or not text.isprintable():
        raise UserError(
            f"{path}: it holds no login; delete it, and the next `{command('up')}` makes a new one"
        )
    path.chmod(_PRIVATE)  # a copied workspace may have lost it
    return text


def record(folder: Path, url: str) -> None:
    """Note that the workspace's own server has this address."""
    write_text(folder / _ADDRESS_FILE, f"{url}\n", _PRIVATE)


def forget(folder: Path, url: str) -> None:
    """Remove the note of this address; that of a server started since stays."""
    path = folder / _ADDRESS_FILE
    with suppress(OSError):
        if path.read_text("utf-8").strip() == url:
            remove_file(path)


def login_for(folder: Path, url: str) -> str | None:
    """Return the login for the server at this address; None: it is not the workspace's own."""
    try:
        own = (folder / _ADDRESS_FILE).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if _place(own) is None or _place(own) != _place(url):
        return None
    return login(folder)


def _place(url: str) -> tuple[str, int] | None:
    """Return path and port of an address of this machine, however it is written; None for any other address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost") or port is None:
        return None
    return parts.path.rstrip("/"), port
