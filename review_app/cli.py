"""The verbs `sid review`, which starts the review app, and `sid password`."""

import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap.cli.common import say, workspace_of
from bootstrap.commands import command
from bootstrap.errors import UserError

if TYPE_CHECKING:
    from bootstrap.project.projects import Workspace
    from review_app.login_settings import Login

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_HIDDEN = {"hide_input": True, "confirmation_prompt": True}


def add_verbs(app: typer.Typer) -> None:
    """Add `sid review` and `sid password` to the command line."""
    app.command("review")(review)
    app.command("password")(set_password)


def review(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any address but this machine's own needs a login.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Open the review app: accept and reject candidates, create projects, start generations."""
    from review_app import login_settings

    workspace = workspace_of(context)
    login = login_for(workspace, host)
    named = login_settings.hosts(workspace)
    address = "127.0.0.1" if host == "localhost" else host
    check_port(address, port)
    # Streamlit's scripts take no arguments; they find the workspace as every verb does.
    os.environ["SID_WORKSPACE"] = str(workspace.folder)
    url = f"http://{'localhost' if host in _THIS_MACHINE else _in_url(host)}:{port}"
    say(f"review app: {url}  (Ctrl-C stops it)")
    if host not in _THIS_MACHINE:
        say("the connection is not encrypted: outside a trusted network, put a TLS proxy in front of the app")
    from review_app import server  # imports Streamlit, which takes a second that other verbs save

    server.serve(address, port, login, named, browse=None if no_browser else url)


def set_password(
    context: typer.Context,
    password: Annotated[
        str,
        typer.Option(
            "--password", prompt="New password", help="If left out, the command prompts for it.", **_HIDDEN
        ),
    ],
) -> None:
    """Set the password that the review app asks for; `sid review --host` needs one."""
    from review_app import login_settings

    workspace = workspace_of(context)
    login_settings.set_password(workspace, password)
    say(f"password set: {workspace.folder / login_settings.FILE}")
    say("a running app uses it after its next start")


def login_for(workspace: "Workspace", host: str) -> "Login | None":
    """Return the login that this address needs; None: it is this machine's own, and no login is set up.

    Raises:
        UserError: without a login everyone on the network could use the app; or the login's settings are invalid.
    """
    from review_app import login_settings

    login = login_settings.read(workspace)
    if login is None and host not in _THIS_MACHINE:
        raise UserError(
            f"--host {host}: everyone on the network could use the app; set a password first "
            f"(`{command('password')}`), or "
            "leave --host out and reach the app through an ssh tunnel"
        )
    if login is not None and login.emails:
        _check_oidc(workspace)
    return login


def _check_oidc(workspace: "Workspace") -> None:
    from streamlit.auth_util import get_secrets_auth_section, is_authlib_installed

    from review_app.login_settings import FILE

    path = workspace.folder / FILE
    if not get_secrets_auth_section():
        raise UserError(
            f"{path}: 'login.emails' needs an [auth] section in .streamlit/secrets.toml (see docs/review-app.md)"
        )
    if not is_authlib_installed():
        raise UserError(f"{path}: 'login.emails' needs Authlib: pip install 'sid-bootstrap[oidc]'")


def _in_url(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def check_port(address: str, port: int) -> None:
    """Check that the port is free.

    Raises:
        UserError: another program listens on it, or this user may not.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # as the server does: a port that was just closed counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(
                f"--port {port}: not free on {address} ({reason}); choose another with --port"
            ) from None
