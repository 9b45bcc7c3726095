"""Starting and stopping a generation: through Prefect where its API answers, as a process of our own where not.

The flow is known by its deployment's name only; nothing of `flows` is imported.
"""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app import prefect_runs

DEPLOYMENT = "bootstrap/bootstrap"  # flow/deployment, served by `sid serve` and `sid up`
LOG_NAME = "run.log"
_PREFECT_SECONDS = (
    60  # for a Prefect that is named but does not answer yet: `sid up` starts the app beside it
)
_GOES_ON = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")


@dataclass
class Start:
    """One press of the button, and what came of it as far as it did not reach the catalog."""

    at: float  # time.time()
    waiting: bool = False  # for Prefect
    flow_run: str | None = None  # id of the Prefect flow run
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None
    problem: str = ""
    cancelled: bool = False  # at a person's wish

    def trouble(self) -> str | None:
        """Return why the run ended without its work, None while it goes on or when all is well."""
        if self.cancelled:
            return None
        if self.process is not None:
            code = self.process.poll()
            return _last_line(self.log, code) if code else None
        return self.problem or (_flow_run_trouble(self.flow_run) if self.flow_run else None)

    def is_alive(self) -> bool:
        """Whether it is still on its way, as a process or as a flow run."""
        if self.process is not None:
            return self.process.poll() is None
        return self.waiting or (self.flow_run is not None and _flow_run_state(self.flow_run)[0] in _GOES_ON)


_lock = threading.Lock()
_latest: dict[Path, Start] = {}  # by project folder; this server's own starts, the catalog knows the rest


def latest(project: Project) -> Start | None:
    """Return the last start of a generation of this project from this server."""
    return _latest.get(project.folder)


def start(project: Project, token: str, patience: float = 0.0) -> Start:
    """Start working on the project's present generation, and return at once.

    Args:
        token: the same for each press of one button; Prefect takes a second press for the first one.
        patience: seconds to wait for the run before to end, when its work is done; it has to tidy up.

    Raises:
        UserError: a run that was started here is still at work, or nothing can be started.
    """
    with _lock:
        before, deadline = latest(project), time.monotonic() + patience
        while before is not None and before.is_alive():
            if time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            raise UserError(f"project '{project.name}': a generation is running already")
        begun = Start(time.time())
        if prefect_runs.api_url():
            begun.waiting = True
            threading.Thread(target=_start_flow, args=(project, token, begun), daemon=True).start()
        else:
            _start_process(project, begun)
        _latest[project.folder] = begun
        return begun


def cancel(project: Project) -> None:
    """Ask for the end of the run that works on a project; it stops between two steps, and keeps what it has.

    Raises:
        UserError: it runs where nothing from here reaches it, or Prefect does not answer.
    """
    begun = latest(project)
    if begun is not None and begun.process is not None and begun.is_alive():
        begun.cancelled = True
        begun.process.terminate()
        return
    if begun is not None and begun.waiting:  # the thread that waits for Prefect sees it
        begun.cancelled = True
        return
    run = prefect_runs.of_project(project) if prefect_runs.api_url() else None
    if run is None or not run.is_alive:
        raise UserError(
            f"project '{project.name}': the run was not started from here; stop it where it runs, with Ctrl-C"
        )
    prefect_runs.cancel(run)
    if begun is not None:
        begun.cancelled = True


def log(project: Project) -> str:
    """Return the end of the last run's log, from Prefect where that knows the run; empty where there is none."""
    begun = latest(project)
    if prefect_runs.api_url() and (begun is None or begun.process is None):
        try:
            run = prefect_runs.of_project(project)
            return prefect_runs.log(run) if run is not None else ""
        except UserError as error:
            return str(error)
    return log_tail(project)


def _prefect_answers() -> bool:
    return prefect_runs.ask("health") is not None


def _start_flow(project: Project, token: str, begun: Start) -> None:
    """Ask Prefect for a run of the deployment; when there is none after a while, run without."""
    try:
        while time.time() - begun.at < _PREFECT_SECONDS:
            if begun.cancelled:
                return
            if _prefect_answers():
                begun.flow_run = _run_deployment(project, token)
                if begun.flow_run:
                    return
            time.sleep(1)
        _start_process(project, begun)
    except Exception as error:  # whatever Prefect raises: nobody else is there to tell it
        begun.problem = f"the generation could not be started ({type(error).__name__}: {error})"
    finally:
        begun.waiting = False


def _run_deployment(project: Project, token: str) -> str | None:
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from prefect.deployments import run_deployment  # more than a second, and only here
    from prefect.exceptions import ObjectNotFound

    try:
        run: Any = run_deployment(
            DEPLOYMENT,
            parameters={"workspace": str(project.workspace.folder), "project": project.name},
            timeout=0,
            as_subflow=False,
            idempotency_key=f"{project.folder}:{token}",
        )
    except ObjectNotFound:  # not served, or not yet
        return None
    return str(run.id)


def _start_process(project: Project, begun: Start) -> None:
    """Start `sid run` so that it outlives this server, its output in a file of the project."""
    log = project.folder / LOG_NAME
    command = [
        sys.executable, "-c", "from bootstrap.cli.main import main; main()",
        "--workspace", str(project.workspace.folder), "run", project.name,
    ]  # fmt: skip
    environment = dict(os.environ)
    if prefect_runs.api_url() and not _prefect_answers():
        del environment["PREFECT_API_URL"]  # it would wait for a server that does not answer
    try:
        with log.open("wb") as output:
            begun.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, env=environment,
            )  # fmt: skip
    except OSError as error:
        raise UserError(f"project '{project.name}': `sid run` could not be started ({error})") from None
    begun.log = log


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


def _flow_run_state(flow_run: str) -> tuple[str, str]:
    """Return type and message of a flow run's state; empty texts when Prefect does not say."""
    state = (prefect_runs.ask(f"flow_runs/{flow_run}") or {}).get("state") or {}
    return str(state.get("type") or ""), str(state.get("message") or "")


def _flow_run_trouble(flow_run: str) -> str | None:
    kind, said = _flow_run_state(flow_run)
    if kind in ("FAILED", "CRASHED", "CANCELLED"):
        return f"the flow run ended as {kind.lower()}: {said or 'see Prefect for its log'}"
    return None
