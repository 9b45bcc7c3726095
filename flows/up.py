"""`sid up`: start the Prefect server, the served flows and the review app together, and stop them together."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bootstrap.cli.common import say
from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from bootstrap.serving import http, own_server
from flows import children, environment, serve, server
from flows.children import Child
from flows.enough import MIN_PICKS
from flows.signals import sigterm_as_ctrl_c

_READY_SECONDS = 120
_FLOWS_GRACE = 40  # seconds; a running flow stops between two steps and records that in the catalog
_APP_GRACE = 10  # seconds


def up(
    workspace: Workspace,
    port: int,
    when: serve.Clock | None,
    when_reviewed: bool = False,
    min_picks: int = MIN_PICKS,
) -> int:
    """Start everything, wait for Ctrl-C or SIGTERM, stop everything; return the exit code.

    Args:
        workspace: workspace to serve; the processes write their output to its `logs/`.
        port: of the review app.
        when: when the nightly flow runs, None for never.
        when_reviewed: whether a finished review starts the next generation.
        min_picks: number of new picks that suffices for the next generation.

    Raises:
        UserError: the port is taken.
        children.StartError: a process did not start; the others are stopped.
    """
    if not server.is_free(port):
        raise UserError(f"port {port}: another program uses it; choose another port with --port")
    environment.prepare(workspace)
    with sigterm_as_ctrl_c(), _stopped_at_the_end() as running:
        try:
            _start(running, workspace, port, _serve_options(when, when_reviewed, min_picks))
            say(f"review app: http://localhost:{port}")
            say(f"logs: {environment.logs_folder(workspace)}")
            say("Ctrl-C stops everything")
            dead = _first_to_end(running)
        except KeyboardInterrupt:
            say("stopping ...")
            return 0
        say(f"sid: {dead.obituary()}", of_trouble=True)
        say("stopping the rest", of_trouble=True)
        return 1


def _serve_options(when: serve.Clock | None, when_reviewed: bool, min_picks: int) -> list[str]:
    """Return the options for `sid serve`."""
    enough = ["--min-picks", str(min_picks)] if when or when_reviewed else []
    return [*(when.options if when else []), *(["--when-reviewed"] if when_reviewed else []), *enough]


def _start(running: list[Child], workspace: Workspace, port: int, options: list[str]) -> None:
    prefect = server.Server(workspace, schedules=True)
    running.append(prefect.child)
    logs, variables = environment.logs_folder(workspace), prefect.variables
    sid = [
        sys.executable,
        "-c",
        "from bootstrap.cli.main import main; main()",
        "--workspace",
        str(workspace.folder),
    ]
    # The app takes as long to start as the server, and needs the server only at the first click.
    review = [*sid, "review", "--port", str(port)]
    app = children.start("the review app", review, logs / "review-app.log", variables)
    running.append(app)
    prefect.wait()
    flows = children.start("the served flows", [*sid, "serve", *options], logs / "flows.log", variables)
    running.append(flows)
    say(f"Prefect: http://127.0.0.1:{prefect.port}  ({_login_words(workspace, prefect)})")
    app.wait_until(lambda: http.answers(f"http://127.0.0.1:{port}/_stcore/health"), _READY_SECONDS)
    flows.wait_until(lambda: flows.has_said(serve.READY), _READY_SECONDS)


def _login_words(workspace: Workspace, prefect: server.Server) -> str:
    """Return where the person finds what Prefect's pages ask for."""
    if prefect.login == os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        return "its pages ask for your PREFECT_SERVER_API_AUTH_STRING"
    return f"its pages ask for the line in {workspace.folder / own_server.LOGIN_FILE}"


def _first_to_end(running: list[Child]) -> Child:
    while True:
        for child in running:
            if child.ended:
                return child
        time.sleep(0.5)


@contextmanager
def _stopped_at_the_end() -> Iterator[list[Child]]:
    """Yield a list of children, and stop them in reverse: running flows need the server to report their end."""
    running: list[Child] = []
    try:
        yield running
    finally:
        for child in reversed(running):
            child.stop(_FLOWS_GRACE if child.name == "the served flows" else _APP_GRACE)
