"""Who may come in: `review.toml` in the workspace, with the hash of a password or the addresses that may sign in."""

import secrets
import tomllib

import tomlkit
from argon2 import PasswordHasher
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.project.projects import Workspace

FILE = "review.toml"
LEAST_LENGTH = 8
_HEAD = "# Who may come into the review app. `sid password` writes the hash; docs/review-app.md tells of emails.\n"


class Login(BaseModel):
    """`[login]`: what lets a person in; either of them does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cookie_secret: str = Field(min_length=32)  # signs who is logged in; another one logs everybody out
    password_hash: str | None = Field(None, pattern=r"^\$argon2")
    emails: list[str] = []  # with Streamlit's OIDC: addresses, or patterns such as *@example.org


def read(workspace: Workspace) -> Login | None:
    """Return the workspace's login; None: it has none.

    Raises:
        UserError: the file is there and wrong: better closed than open.
    """
    path = workspace.folder / FILE
    if not path.is_file():
        return None
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        login = Login.model_validate(raw.get("login", {}))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no valid TOML: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(["login", *map(str, problem["loc"])])
        raise UserError(f"{path}: '{name}': {problem['msg']}; `sid password` writes it anew") from None
    if login.password_hash is None and not login.emails:
        raise UserError(f"{path}: it lets nobody in; `sid password` sets a password, or name emails")
    return login


def set_password(workspace: Workspace, password: str) -> None:
    """Write the hash of a password into review.toml; whoever is logged in has to log in again.

    Raises:
        UserError: the password is too short, or the file is no TOML.
    """
    if len(password) < LEAST_LENGTH:
        raise UserError(f"password: {len(password)} characters are too few, take {LEAST_LENGTH} or more")
    path = workspace.folder / FILE
    try:
        document = tomlkit.parse(path.read_text("utf-8") if path.is_file() else _HEAD)
    except (tomlkit.exceptions.TOMLKitError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no valid TOML: {error}") from None
    table = document.setdefault("login", tomlkit.table())
    table["cookie_secret"] = secrets.token_hex(32)
    table["password_hash"] = PasswordHasher().hash(password)
    write_text(path, tomlkit.dumps(document))
    path.chmod(0o600)
