"""The verb `sid review`: starts the review app."""

import os
import socket
from typing import Annotated

import typer

from bootstrap.cli import workspace_of
from bootstrap.errors import UserError

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def add_verbs(app: typer.Typer) -> None:
    """Add `sid review` to the command line."""
    app.command("review")(review)


def review(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine only, for now.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Open the review app: accept and reject candidates, start generations."""
    address = check_host(host)
    check_port(address, port)
    # Streamlit's scripts take no arguments from here; they find the workspace as any verb does.
    os.environ["SID_WORKSPACE"] = str(workspace_of(context).folder)
    url = f"http://localhost:{port}"
    typer.echo(f"review app: {url}  (Ctrl-C stops it)")
    from review_app import server  # imports Streamlit: a second that other verbs need not wait

    server.serve(address, port, browse=None if no_browser else url)


def check_host(host: str) -> str:
    """Return the address to listen on.

    Raises:
        UserError: it is not this machine's own: everyone in the network could give verdicts there.
    """
    if host not in _THIS_MACHINE:
        raise UserError(
            f"--host {host}: the app has no login yet, so it listens on this machine only; "
            "leave --host out, and reach it from elsewhere through an ssh tunnel"
        )
    return "127.0.0.1" if host == "localhost" else host


def check_port(address: str, port: int) -> None:
    """Check that the port is free.

    Raises:
        UserError: another program listens there, or this user may not.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # as the server does: a port that was just left counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(
                f"--port {port}: not free on {address} ({reason}); choose another one with --port"
            ) from None
