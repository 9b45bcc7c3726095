"""A Prefect server of our own on loopback, and a check whether a server answers."""

import os
import socket
import sys
from contextlib import closing
from http import HTTPStatus

from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from bootstrap.serving import http, own_server
from flows import children, environment

USUAL_PORT = 4200
_USUAL_URL = f"http://127.0.0.1:{USUAL_PORT}/api"
_START_SECONDS = 120  # a slow machine creates the database in 10 s, a busy one takes longer
_STOP_SECONDS = 15
_ONLY_WITH_SCHEDULES = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
}


class Server:
    """A Prefect server process, ready a few seconds after its start; only who has the workspace's login can use it.

    It listens on one socket from its construction to `stop`: while it is started again, requests wait for it.

    Attributes:
        child: its process.
        url: address of its API.
        login: `user:password`, that of the workspace, or the user's own from $PREFECT_SERVER_API_AUTH_STRING.
        variables: environment variables for the processes that use it; no command line and no log has the login.
    """

    def __init__(self, workspace: Workspace, *, schedules: bool, port: int | None = None) -> None:
        """Start the server.

        Args:
            workspace: where its database and its log are kept.
            schedules: whether it starts scheduled runs and serves Prefect's pages; a foreground run needs neither.
            port: port to listen on; None: with `schedules` USUAL_PORT if it is free, else any free one.
        """
        # Bound here: another server that starts at the same moment must not take the port before ours is ready to.
        self._listening = _listening(port or (free_port(USUAL_PORT) if schedules else 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/api"
        users_own = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
        self.login = users_own or own_server.login(workspace.folder)
        self.variables = {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": self.login}
        self._folder, self._log = workspace.folder, environment.logs_folder(workspace) / "prefect-server.log"
        self._settings = {
            "PREFECT_SERVER_API_AUTH_STRING": self.login,
            **({} if schedules else _ONLY_WITH_SCHEDULES),
        }
        self.child = self._started()
        if schedules and not users_own:
            own_server.record(self._folder, self.url)  # for other terminals

    def _started(self) -> children.Child:
        descriptor = self._listening.fileno()
        command = [sys.executable, "-m", "flows.prefect_server", str(descriptor)]
        return children.start("the Prefect server", command, self._log, self._settings, (descriptor,))

    def start_again(self) -> children.Child:
        """Start the server again after its process has ended, at the same address; return when it answers.

        Raises:
            children.StartError: see wait.
        """
        self.child = self._started()
        self.wait()
        return self.child

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            children.StartError: it ended, or did not answer in time.
        """
        self.child.wait_until(lambda: answers(self.url), _START_SECONDS)

    def stop(self) -> None:
        """Stop the server, and wait until it has ended."""
        self.child.stop(_STOP_SECONDS)
        self._listening.close()
        own_server.forget(self._folder, self.url)


def answers(api_url: str) -> bool:
    """Return whether a Prefect server answers at this address within two seconds."""
    return http.answers(f"{api_url.rstrip('/')}/health", environment.api_headers())


def require_named_server(workspace: Workspace) -> str:
    """Return the API address in PREFECT_API_URL, which is set to the usual address if it is unset.

    Raises:
        UserError: no server answers there, or it wants a login.
    """
    url = os.environ.setdefault("PREFECT_API_URL", _USUAL_URL)
    environment.use_own_login(workspace)
    require_login(url)
    if not answers(url):
        raise UserError(
            f"no Prefect server answers at {url}: start one with `prefect server start` and name it in "
            f"PREFECT_API_URL, or start everything with `{command('up')}`"
        )
    return url


def require_login(api_url: str) -> None:
    """Check that the Prefect server at this address, if one answers, takes our login.

    Raises:
        UserError: it does not.
    """
    # Its /health is open to all, and does not tell.
    if http.status(f"{api_url.rstrip('/')}/version", environment.api_headers()) == HTTPStatus.UNAUTHORIZED:
        raise UserError(
            f"the Prefect server at {api_url} wants a login: set PREFECT_API_AUTH_STRING; that of a server which "
            f"`sid up` started is in the file {own_server.LOGIN_FILE} of its workspace"
        )


def _listening(port: int) -> socket.socket:
    """Return a socket that listens on this port of loopback, or on any free one if it has just been taken."""
    for wanted in (port, 0):
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(("127.0.0.1", wanted))
            opened.listen(2048)  # as uvicorn does
        except OSError:
            opened.close()
            if wanted == 0:
                raise
        else:
            return opened
    raise AssertionError("port 0 is always free")


def is_free(port: int) -> bool:
    """Return whether a port of loopback is free."""
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
