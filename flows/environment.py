"""What the environment must say before Prefect is imported: its own folder, no telemetry, no noise.

Prefect reads its settings once, at import; so every verb calls `prepare` first and imports Prefect after it.
"""

import base64
import os
import tempfile
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace

ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    # In the server's memory, Prefect's default, a restart would lose them, and what they hold would never be free.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


def prepare(workspace: Workspace) -> None:
    """Set the defaults of the environment; what the user has set stays.

    Prefect's folder lies in the workspace, so nothing is written to the home folder.
    """
    folder = prefect_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {
        **ALWAYS,
        "PREFECT_HOME": str(folder),
        # A Prefect profile of the home folder (Prefect Cloud, perhaps) is not ours to write to.
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "3",  # seconds; with Prefect's 10 a click in the app seems dead
        "PREFECT_CLI_PROMPT": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    _temporary_folder_of_our_own()


def _temporary_folder_of_our_own() -> None:
    """Keep clear of `runner_storage`, where Prefect's runners put their files: the first account to use it owns it."""
    common = Path(tempfile.gettempdir())
    storage = common / "runner_storage"
    if not storage.exists() or os.access(storage, os.W_OK | os.X_OK):
        return
    own = common / f"sid-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.stat().st_uid != os.getuid():
        raise UserError(f"{own}: it is another account's; remove it, or set TMPDIR to a folder of your own")
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)


def api_headers() -> dict[str, str]:
    """Return what proves to the Prefect server that we may: $PREFECT_API_KEY or $PREFECT_API_AUTH_STRING, if any."""
    key, words = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
    if key:
        return {"Authorization": f"Bearer {key}"}
    if words:
        return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
    return {}


def prefect_folder(workspace: Workspace) -> Path:
    """Where Prefect keeps its database and settings: $PREFECT_HOME, else `.prefect` in the workspace."""
    given = os.environ.get("PREFECT_HOME")
    return Path(given).expanduser().resolve() if given else workspace.folder / ".prefect"


def logs_folder(workspace: Workspace) -> Path:
    """Where the processes that `sid` starts write their logs; made when it is missing."""
    folder = workspace.folder / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
