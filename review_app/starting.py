"""Starting and cancelling a generation: through Prefect if its API answers, or else as a process of this server.

The flow is known only by its deployment's name; nothing is imported from `flows`.
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
    60  # to wait for a Prefect server that is set but does not answer yet: `sid up` starts it beside the app
)
_GOES_ON = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")


@dataclass
class Start:
    """One press of the button, and what happened until the run reached the catalog."""

    at: float  # time.time()
    waiting: bool = False  # for Prefect
    flow_run: str | None = None  # id of the Prefect flow run
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None
    problem: str = ""
    cancelled: bool = False  # by a person

    def trouble(self) -> str | None:
        """Return why the run failed to do its work; None while it runs or if it succeeded."""
        if self.cancelled:
            return None
        if self.process is not None:
            code = self.process.poll()
            return _last_line(self.log, code) if code else None
        return self.problem or (_flow_run_trouble(self.flow_run) if self.flow_run else None)

    def is_alive(self) -> bool:
        """Return whether it is still starting or running, as a process or as a flow run."""
        if self.process is not None:
            return self.process.poll() is None
        return self.waiting or (self.flow_run is not None and _flow_run_state(self.flow_run)[0] in _GOES_ON)


_lock = threading.Lock()
_latest: dict[Path, Start] = {}  # by project folder; only this server's starts, the catalog knows the rest


def latest(project: Project) -> Start | None:
    """Return this server's last start of a generation of this project."""
    return _latest.get(project.folder)


def start(project: Project, token: str, patience: float = 0.0, more: bool = False) -> Start:
    """Start a run of the project's present generation, and return at once.

    Args:
        project: the project to work on.
        token: the same for repeated presses of one button, so that Prefect starts a single run for them.
        patience: seconds to wait for the previous run to end; after its work is done it still has to clean up.
        more: if the candidates that the recipes ask for exist, draw that number again with other seeds.

    Raises:
        UserError: a run that was started here is still running, or none can be started.
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
            threading.Thread(target=_start_flow, args=(project, token, begun, more), daemon=True).start()
        else:
            _start_process(project, begun, more)
        _latest[project.folder] = begun
        return begun


def cancel(project: Project) -> None:
    """Cancel the run that works on a project; it stops between two steps and keeps finished work.

    Raises:
        UserError: the run cannot be reached from here, or Prefect does not answer.
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
    """Return the end of the last run's log, from Prefect if it knows the run; empty if there is none."""
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


def _start_flow(project: Project, token: str, begun: Start, more: bool) -> None:
    """Start a run of the deployment in Prefect, or without Prefect if that fails for `_PREFECT_SECONDS`."""
    try:
        while time.time() - begun.at < _PREFECT_SECONDS:
            if begun.cancelled:
                return
            if _prefect_answers():
                begun.flow_run = _run_deployment(project, token, more)
                if begun.flow_run:
                    return
            time.sleep(1)
        _start_process(project, begun, more)
    except Exception as error:  # whatever Prefect raises: nothing else would report it in this thread
        begun.problem = f"the generation could not be started ({type(error).__name__}: {error})"
    finally:
        begun.waiting = False


def _run_deployment(project: Project, token: str, more: bool) -> str | None:
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from prefect.deployments import run_deployment  # takes more than a second to import, so only here
    from prefect.exceptions import ObjectNotFound
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    login, _ = prefect_runs.credentials()
    try:
        with temporary_settings({PREFECT_API_URL: prefect_runs.api_url(), PREFECT_API_AUTH_STRING: login}):
            run: Any = run_deployment(
                DEPLOYMENT,
                parameters={
                    "workspace": str(project.workspace.folder),
                    "project": project.name,
                    "more": more,
                },
                timeout=0,
                as_subflow=False,
                idempotency_key=f"{project.folder}:{token}",
            )
    except ObjectNotFound:  # not served, or not yet
        return None
    return str(run.id)


def _start_process(project: Project, begun: Start, more: bool) -> None:
    """Start `sid run` as a process that outlives this server, with its output in a file of the project."""
    log = project.folder / LOG_NAME
    command = [
        sys.executable, "-c", "from bootstrap.cli.main import main; main()",
        "--workspace", str(project.workspace.folder), "run", project.name,
        *(["--more"] if more else []),
    ]  # fmt: skip
    environment = dict(os.environ)
    if prefect_runs.api_url() and not _prefect_answers():
        del environment["PREFECT_API_URL"]  # the process would wait for a server that does not answer
    try:
        with log.open("wb") as output:
            begun.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, env=environment,
            )  # fmt: skip
    except OSError as error:
        raise UserError(f"project '{project.name}': the run could not be started ({error})") from None
    begun.log = log


def log_tail(project: Project, lines: int = 30) -> str:
    """Return the last lines that the last run without Prefect wrote, an empty text if there are none."""
    try:
        text = (project.folder / LOG_NAME).read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return ""
    # A progress bar overwrites its earlier states with "\r"; keep only the last one.
    final = [line.rstrip().rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([line for line in final if line.strip()][-lines:])


def _last_line(log: Path | None, code: int) -> str:
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines() if log else []
    except OSError:
        lines = []
    reason = lines[-1].strip().removeprefix("sid: ") if lines else "it wrote nothing"
    return f"the run ended with exit code {code}: {reason}"


def _flow_run_state(flow_run: str) -> tuple[str, str]:
    """Return type and message of a flow run's state; empty texts if Prefect does not answer."""
    state = (prefect_runs.ask(f"flow_runs/{flow_run}") or {}).get("state") or {}
    return str(state.get("type") or ""), str(state.get("message") or "")


def _flow_run_trouble(flow_run: str) -> str | None:
    kind, message = _flow_run_state(flow_run)
    if kind in ("FAILED", "CRASHED", "CANCELLED"):
        return f"the flow run ended as {kind.lower()}: {message or 'see Prefect for its log'}"
    return None
