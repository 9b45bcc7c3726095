"""A Prefect server of our own on loopback, and the check whether one answers."""

import os
import socket
import sys
from contextlib import closing

from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from flows import children, environment, http

USUAL_PORT = 4200
_USUAL_URL = f"http://127.0.0.1:{USUAL_PORT}/api"
_START_SECONDS = 120  # a slow machine makes the database in 10 s; a busy one is no reason to give up
_STOP_SECONDS = 15
_ONLY_WITH_SCHEDULES = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
}


class Server:
    """A Prefect server process: started at once, ready a few seconds later."""

    def __init__(self, workspace: Workspace, *, schedules: bool, port: int | None = None) -> None:
        """Start the server.

        Args:
            workspace: holds its database and its log.
            schedules: whether it starts what is due, and serves Prefect's pages; a run here needs neither.
            port: the one to listen on, None for the usual or any free one.
        """
        self.port = port or (free_port(USUAL_PORT) if schedules else free_port())
        self.url = f"http://127.0.0.1:{self.port}/api"
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        self.child = children.start(
            "the Prefect server",
            [sys.executable, "-m", "prefect", "server", "start", *address],
            environment.logs_folder(workspace) / "prefect-server.log",
            {} if schedules else _ONLY_WITH_SCHEDULES,
        )

    def wait(self) -> None:
        """Return when the server answers.

        Raises:
            children.StartError: it does not.
        """
        self.child.wait_until(lambda: answers(self.url), _START_SECONDS)

    def stop(self) -> None:
        """End the server; returns when it is gone."""
        self.child.stop(_STOP_SECONDS)


def answers(api_url: str) -> bool:
    """Whether a Prefect server answers at this address within two seconds."""
    return http.answers(f"{api_url.rstrip('/')}/health", environment.api_headers())


def named() -> str:
    """Return the API address of the Prefect server that PREFECT_API_URL names, the usual one without; sets it.

    Raises:
        UserError: no server answers there.
    """
    url = os.environ.setdefault("PREFECT_API_URL", _USUAL_URL)
    if not answers(url):
        raise UserError(
            f"no Prefect server answers at {url}: start one with `prefect server start` and name it in "
            "PREFECT_API_URL, or start everything with `sid up`"
        )
    return url


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of loopback."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(wanted: int = 0) -> int:
    """Return the wanted port when it is free, else any free one."""
    if wanted and is_free(wanted):
        return wanted
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
