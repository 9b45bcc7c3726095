"""`sid up`: start the Prefect server, the served flows and the review app together, and stop them together."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from filelock import FileLock, Timeout

from bootstrap import reading
from bootstrap.cli.common import say
from bootstrap.errors import UserError
from bootstrap.files import make_folder, remove_file, write_text
from bootstrap.project.projects import Workspace
from bootstrap.serving import http, own_server
from flows import children, environment, keeping, serve, server
from flows.children import Child
from flows.enough import MIN_PICKS
from flows.keeping import Kept
from flows.signals import sigterm_as_ctrl_c

_READY_SECONDS = 120
_FLOWS_GRACE = 40  # seconds; a running flow stops between two steps and records that in the catalog
_GRACE = 10  # seconds
_LOCK_FILE, _ADDRESS_FILE = ".up.lock", ".up-address"


def up(
    workspace: Workspace,
    port: int,
    when: serve.Clock | None,
    when_reviewed: bool = False,
    min_picks: int = MIN_PICKS,
) -> int:
    """Start everything, keep it running until Ctrl-C or SIGTERM, stop everything; return the exit code.

    Args:
        workspace: workspace to serve; the processes write their output to its `logs/`.
        port: of the review app.
        when: when the nightly flow runs, None for never.
        when_reviewed: whether a finished review starts the next generation.
        min_picks: number of new picks that suffices for the next generation.

    Raises:
        UserError: the port is taken, or another `sid up` serves the workspace.
        children.StartError: a process did not start the first time; the others are stopped.
    """
    with only_one(workspace, port):
        if not server.is_free(port):
            raise UserError(f"port {port}: another program uses it; choose another port with --port")
        environment.prepare(workspace)
        with sigterm_as_ctrl_c(), _stopped_at_the_end() as running:
            try:
                _start(running, workspace, port, _serve_options(when, when_reviewed, min_picks))
                say(f"review app: http://localhost:{port}")
                say(f"logs: {environment.logs_folder(workspace)}")
                say("Ctrl-C stops everything")
                keeping.keep(running)
            except KeyboardInterrupt:
                say("a running generation keeps what is finished, and goes on with its next run")
                say("stopping ...")
                return 0
            except keeping.GivenUpError as error:
                for line in str(error).splitlines():
                    say(line if line.startswith(" ") else f"sid: {line}", of_trouble=True)
                say("stopping the rest", of_trouble=True)
        return 1


@contextmanager
def only_one(workspace: Workspace, port: int) -> Iterator[None]:
    """Keep a second `sid up` off the workspace until the block ends; the lock of a killed one is gone with it.

    Raises:
        UserError: another `sid up` serves the workspace; the message names the address of its app.
    """
    make_folder(workspace.folder)
    address = workspace.folder / _ADDRESS_FILE
    lock = FileLock(workspace.folder / _LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        first = ""
        with suppress(UserError):  # it has begun only now
            first = f", with the app on {reading.text_file(address, 'the address').strip()}"
        raise UserError(
            f"workspace {workspace.folder}: another `sid up` serves it{first}; use that one, or stop it first (Ctrl-C "
            "where it runs)"
        ) from None
    try:
        write_text(address, f"http://localhost:{port}\n")
        yield
    finally:
        with suppress(OSError):
            remove_file(address)
        lock.release()


def _serve_options(when: serve.Clock | None, when_reviewed: bool, min_picks: int) -> list[str]:
    """Return the options for `sid serve`."""
    enough = ["--min-picks", str(min_picks)] if when or when_reviewed else []
    return [*(when.options if when else []), *(["--when-reviewed"] if when_reviewed else []), *enough]


def _start(running: list[Kept], workspace: Workspace, port: int, options: list[str]) -> None:
    prefect = server.Server(workspace, schedules=True)
    running.append(Kept(prefect.child, lambda _: prefect.start_again()))
    logs, variables = environment.logs_folder(workspace), prefect.variables
    sid = [
        sys.executable,
        "-c",
        "from bootstrap.cli.main import main; main()",
        "--workspace",
        str(workspace.folder),
    ]

    def start_app() -> Child:
        return children.start(
            "the review app", [*sid, "review", "--port", str(port)], logs / "review-app.log", variables
        )

    def wait_for_app(app: Child) -> Child:
        app.wait_until(lambda: http.answers(f"http://127.0.0.1:{port}/_stcore/health"), _READY_SECONDS)
        return app

    def start_flows(died: datetime | None = None) -> Child:
        more = {serve.START_AGAIN: died.isoformat()} if died else {}
        return children.start(
            "the served flows", [*sid, "serve", *options], logs / "flows.log", variables | more
        )

    def wait_for_flows(flows: Child) -> Child:
        flows.wait_until(lambda: flows.has_said(serve.READY), _READY_SECONDS)
        return flows

    # The app takes as long to start as the server, and needs the server only at the first click.
    app = Kept(start_app(), lambda _: wait_for_app(start_app()))
    running.append(app)
    prefect.wait()
    flows = Kept(start_flows(), lambda died: wait_for_flows(start_flows(died)), _FLOWS_GRACE)
    running.append(flows)
    say(f"Prefect: http://127.0.0.1:{prefect.port}  ({_login_words(workspace, prefect)})")
    wait_for_app(app.child)
    wait_for_flows(flows.child)


def _login_words(workspace: Workspace, prefect: server.Server) -> str:
    """Return where the person finds what Prefect's pages ask for."""
    if prefect.login == os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        return "its pages ask for your PREFECT_SERVER_API_AUTH_STRING"
    return f"its pages ask for the line in {workspace.folder / own_server.LOGIN_FILE}"


@contextmanager
def _stopped_at_the_end() -> Iterator[list[Kept]]:
    """Yield a list of children, and stop them in reverse: running flows need the server to report their end."""
    running: list[Kept] = []
    try:
        yield running
    finally:
        for part in reversed(running):
            part.child.stop(part.grace or _GRACE)
