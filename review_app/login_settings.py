"""Who may use the app: `review.toml` in the workspace, with a password's hash or the emails that may log in."""

import secrets

import tomlkit
from argon2 import PasswordHasher
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap import reading
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


def read(workspace: Workspace) -> Login | None:
    """Return the workspace's login; None: it has none.

    Raises:
        UserError: the file is invalid; refusing to start is safer than running without a login.
    """
    path = workspace.folder / FILE
    if not path.is_file():
        return None
    raw = reading.toml_file(path, str(path))
    try:
        login = Login.model_validate(raw.get("login", {}))
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(["login", *map(str, problem["loc"])])
        raise UserError(f"{path}: '{name}': {problem['msg']}; `sid password` rewrites it") from None
    if login.password_hash is None and not login.emails:
        raise UserError(f"{path}: it lets nobody in; `sid password` sets a password, or name emails")
    return login


def set_password(workspace: Workspace, password: str) -> None:
    """Write the hash of a password into review.toml; everybody has to log in again.

    Raises:
        UserError: the password is too short, or the file is not valid TOML.
    """
    if len(password) < LEAST_LENGTH:
        raise UserError(f"password: {len(password)} characters are too few; use {LEAST_LENGTH} or more")
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
