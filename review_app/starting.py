"""Starting a generation: through Prefect where its API answers, as a process of our own where not.

The flow is known by its deployment's name only; nothing of `flows` is imported.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.errors import UserError
from bootstrap.project import Project

DEPLOYMENT = "bootstrap/bootstrap"  # flow/deployment, served by `sid serve` and `sid up`
LOG_NAME = "run.log"
_HEALTH_SECONDS = 3


@dataclass
class Start:
    """One press of the button, and what came of it as far as it did not reach the catalog."""

    at: float  # time.time()
    flow_run: str | None = None  # id of the Prefect flow run
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None

    def trouble(self) -> str | None:
        """Return why the run ended without its work, None while it goes on or when all is well."""
        if self.process is not None:
            code = self.process.poll()
            return _last_line(self.log, code) if code else None
        return _flow_run_trouble(self.flow_run) if self.flow_run else None

    def is_alive(self) -> bool:
        """Whether its process still runs; a flow run's life is read from the catalog."""
        return self.process is not None and self.process.poll() is None


_lock = threading.Lock()
_latest: dict[Path, Start] = {}  # by project folder; this server's own starts, the catalog knows the rest


def latest(project: Project) -> Start | None:
    """Return the last start of a generation of this project from this server."""
    return _latest.get(project.folder)


def start(project: Project, token: str) -> Start:
    """Start working on the project's present generation, and return at once.

    Args:
        token: the same for each press of one button; a second press starts nothing.

    Raises:
        UserError: a run that was started here is still at work, or nothing can be started.
    """
    with _lock:
        before = latest(project)
        if before is not None and before.is_alive():
            raise UserError(f"project '{project.name}': a generation is running already")
        begun = _start_flow(project, token) or _start_process(project)
        _latest[project.folder] = begun
        return begun


def _api_url() -> str | None:
    url = (os.environ.get("PREFECT_API_URL") or "").rstrip("/")
    if not url:
        return None
    try:
        urllib.request.urlopen(f"{url}/health", timeout=_HEALTH_SECONDS).close()
    except (OSError, ValueError):
        return None
    return url


def _start_flow(project: Project, token: str) -> Start | None:
    """Ask Prefect for a run of the deployment; None without Prefect or without such a deployment."""
    if _api_url() is None:
        return None
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from prefect.deployments import run_deployment  # more than a second, and only here
    from prefect.exceptions import ObjectNotFound

    moment = time.time()
    try:
        run: Any = run_deployment(
            DEPLOYMENT,
            parameters={"workspace": str(project.workspace.folder), "project": project.name},
            timeout=0,
            as_subflow=False,
            idempotency_key=f"{project.folder}:{token}",
        )
    except ObjectNotFound:
        return None
    return Start(moment, flow_run=str(run.id))


def _start_process(project: Project) -> Start:
    """Start `sid run` so that it outlives this server, its output in a file of the project."""
    log = project.folder / LOG_NAME
    command = [
        sys.executable, "-c", "from bootstrap.cli import main; main()",
        "--workspace", str(project.workspace.folder), "run", project.name,
    ]  # fmt: skip
    environment = dict(os.environ)
    if _api_url() is None:
        environment.pop("PREFECT_API_URL", None)  # it would wait for a server that does not answer
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, env=environment,
            )  # fmt: skip
    except OSError as error:
        raise UserError(f"project '{project.name}': `sid run` could not be started ({error})") from None
    return Start(time.time(), process=process, log=log)


def log_tail(project: Project, lines: int = 30) -> str:
    """Return the end of what the last run without Prefect wrote, an empty text when there is none."""
    try:
        text = (project.folder / LOG_NAME).read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return ""
    # A progress bar writes each state over the one before; only the last one is news.
    kept = [line.rstrip().rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([line for line in kept if line.strip()][-lines:])


def _last_line(log: Path | None, code: int) -> str:
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines() if log else []
    except OSError:
        lines = []
    said = lines[-1].strip().removeprefix("sid: ") if lines else "it wrote nothing"
    return f"the run ended with exit code {code}: {said}"


def _flow_run_trouble(flow_run: str) -> str | None:
    url = (os.environ.get("PREFECT_API_URL") or "").rstrip("/")
    try:
        with urllib.request.urlopen(f"{url}/flow_runs/{flow_run}", timeout=_HEALTH_SECONDS) as answer:
            state = json.load(answer).get("state") or {}
    except (OSError, ValueError):
        return None
    if state.get("type") in ("FAILED", "CRASHED", "CANCELLED"):
        said = state.get("message") or "see Prefect for its log"
        return f"the flow run ended as {str(state['type']).lower()}: {said}"
    return None
