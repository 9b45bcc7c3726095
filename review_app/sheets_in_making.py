"""Orders to draw a sheet: each runs `sid sheet` in its own process, one after another, so that no page waits."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bootstrap.project.projects import Project
from review_app import verbs


@dataclass
class Order:
    """One order to draw a sheet, and its result."""

    what: str  # its axes, for a person
    ended: bool = False
    problem: str = ""


_worker = ThreadPoolExecutor(1, "sheet")  # one model in memory at a time
_latest: dict[Path, Order] = {}  # by project folder


def latest(project: Project) -> Order | None:
    """Return this server's last order for a project."""
    return _latest.get(project.folder)


def order(project: Project, generation: int, axes: dict[str, str], prompt: str) -> Order:
    """Order a sheet, and return at once.

    Args:
        generation: whose LoRA draws it.
        axes: by `x`, `y` and perhaps `z`, such as `strength=0.4,0.6`.
        prompt: to draw; an empty text: the project's caption.
    """
    made = Order(", ".join(axes.values()))
    options = [f"--{axis}={values}" for axis, values in axes.items()]
    if prompt:
        options.append(f"--prompt={prompt}")
    arguments = ["sheet", f"--generation={generation}", *options, "--", project.name]
    _latest[project.folder] = made
    _worker.submit(verbs.run_verb, project.workspace, arguments).add_done_callback(
        lambda done: _end(made, done)
    )
    return made


def _end(made: Order, done: "Future[tuple[str, str]]") -> None:
    error = done.exception()
    made.problem = f"it could not be started ({error})" if error is not None else done.result()[1]
    made.ended = True
