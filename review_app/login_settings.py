"""Who may use the app, and under which names: `review.toml` in the workspace.

It has a password's hash or the emails that may log in, and the names under which people reach the app.
"""

import secrets
from typing import Annotated

import tomlkit
from argon2 import PasswordHasher
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bootstrap import reading
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.project.projects import Workspace

FILE = "review.toml"
LEAST_LENGTH = 8
_HEAD = "# Who may use the review app. `sid password` writes the hash; docs/review-app.md describes emails.\n"


class Login(BaseModel):
    """`[login]`: a password, emails or both; either lets a person in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cookie_secret: str = Field(min_length=32)  # signs the login cookies; changing it logs everybody out
    password_hash: str | None = Field(None, pattern=r"^\$argon2")
    emails: list[str] = []  # with Streamlit's OIDC: addresses, or patterns such as *@example.org


class Server(BaseModel):
    """`[server]`: under which names people reach the app, beside those of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Such as review.example.org, box:8443 for a proxy on another port than 80 and 443, *.example.org for all below it.
    hosts: list[Annotated[str, StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9._-]+(:\d{1,5})?$")]] = []


class _File(BaseModel):
    """`review.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    login: Login | None = None
    server: Server = Server()


def read(workspace: Workspace) -> Login | None:
    """Return the workspace's login; None: it has none.

    Raises:
        UserError: the file is invalid; refusing to start is safer than running without a login.
    """
    return _read(workspace).login


def hosts(workspace: Workspace) -> list[str]:
    """Return the names under which people reach the workspace's app, beside those of this machine.

    Raises:
        UserError: the file is invalid.
    """
    return _read(workspace).server.hosts


def _read(workspace: Workspace) -> _File:
    path = workspace.folder / FILE
    if not path.is_file():
        return _File()
    raw = reading.toml_file(path, str(path))
    if "server" not in raw:
        raw.setdefault("login", {})  # an empty file is a mistake, not an app without a login
    try:
        read = _File.model_validate(raw)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        advice = f"; `{command('password')}` rewrites it" if name.startswith("login") else ""
        raise UserError(f"{path}: '{name}': {problem['msg']}{advice}") from None
    if read.login is not None and read.login.password_hash is None and not read.login.emails:
        raise UserError(f"{path}: it lets nobody in; `{command('password')}` sets a password, or name emails")
    return read


def set_password(workspace: Workspace, password: str) -> None:
    """Write the hash of a password into review.toml; everybody has to log in again.

    Raises:
        UserError: the password is too short, or the file is not valid TOML.
    """
    if len(password) < LEAST_LENGTH:
        raise UserError(f"password: {len(password)} characters are too few; use {LEAST_LENGTH} or more")
    if any("\ud800" <= letter <= "\udfff" for letter in password):
        raise UserError(
            "password: it has bytes that are no UTF-8 text; use letters that every browser can send"
        )
    path = workspace.folder / FILE
    try:
        text = reading.text_file(path, str(path), reading.MOST_BYTES_OF_TOML) if path.is_file() else _HEAD
        reading.parse_toml(text, str(path))
        document = tomlkit.parse(text)
    except (tomlkit.exceptions.TOMLKitError, ValueError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    if not isinstance(document.get("login", {}), dict):
        raise UserError(f"{path}: 'login' must be a table: [login] with keys below it")
    table = document.setdefault("login", tomlkit.table())
    table["cookie_secret"] = secrets.token_hex(32)
    table["password_hash"] = PasswordHasher().hash(password)
    write_text(path, tomlkit.dumps(document), mode=0o600)
