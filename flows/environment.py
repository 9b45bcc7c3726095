"""Environment variables to set before Prefect is imported: its folder, no telemetry, no prompts.

Prefect reads its settings once, at import, so every verb calls `prepare` before it imports Prefect.
"""

import os
import tempfile
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.files import make_folder, path_of
from bootstrap.project.projects import Workspace
from bootstrap.serving import http, own_server

ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Prefect's default keeps leases in the server's memory: a restart would lose them and never free their slots.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


def prepare(workspace: Workspace) -> None:
    """Set defaults for environment variables that the user has not set.

    Prefect's folder is inside the workspace, so nothing is written to the home folder.
    """
    folder = prefect_folder(workspace)
    make_folder(folder)
    defaults = {
        **ALWAYS,
        "PREFECT_HOME": str(folder),
        # A Prefect profile in the home folder (Prefect Cloud, perhaps) is not ours to write to.
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "3",  # seconds; with Prefect's 10 a click in the app seems to do nothing
        "PREFECT_CLI_PROMPT": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    use_own_login(workspace)
    _use_own_temporary_folder()


def use_own_login(workspace: Workspace) -> None:
    """Put the login of the workspace's own server into the environment if $PREFECT_API_URL is its address.

    A login that the user has set stays.
    """
    login = _login(workspace)
    if login is not None:
        os.environ["PREFECT_API_AUTH_STRING"] = login


def _login(workspace: Workspace) -> str | None:
    url = os.environ.get("PREFECT_API_URL")
    users_own = os.environ.get("PREFECT_API_AUTH_STRING")
    return users_own or (own_server.login_for(workspace.folder, url) if url else None)


def _use_own_temporary_folder() -> None:
    """Use another temporary folder if `runner_storage`, where Prefect's runners keep files, is another account's."""
    common = Path(tempfile.gettempdir())
    storage = common / "runner_storage"
    if not storage.exists() or os.access(storage, os.W_OK | os.X_OK):
        return
    own = common / f"sid-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.stat().st_uid != os.getuid():
        raise UserError(
            f"{own}: it belongs to another account; remove it, or set TMPDIR to a folder of your own"
        )
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)


def api_headers(workspace: Workspace | None = None) -> dict[str, str]:
    """Return the Authorization header for Prefect, if any: of $PREFECT_API_AUTH_STRING or $PREFECT_API_KEY.

    Args:
        workspace: if $PREFECT_API_URL is the address of its own server, its login counts too.
    """
    login = _login(workspace) if workspace else os.environ.get("PREFECT_API_AUTH_STRING")
    return http.authorization(login, os.environ.get("PREFECT_API_KEY"))


def prefect_folder(workspace: Workspace) -> Path:
    """Return where Prefect keeps its database and settings: $PREFECT_HOME, else `.prefect` in the workspace."""
    home = os.environ.get("PREFECT_HOME")
    return path_of(home, "PREFECT_HOME").resolve() if home else workspace.folder / ".prefect"


def logs_folder(workspace: Workspace) -> Path:
    """Return the folder for the logs of the processes that `sid` starts; create it if needed."""
    folder = workspace.folder / "logs"
    make_folder(folder)
    return folder
