"""Orders to check which tags of a caption the base model knows, by drawing each tag in a separate process.

The process is the verb `sid draw-tags`. Its drawings stay in the workspace, in one folder for each base model.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions
from bootstrap.files import sha256_of_text
from bootstrap.models.family import BaseModelSpec
from bootstrap.project.projects import Workspace
from review_app import verbs

_FOLDER = ".tag-drawings"


@dataclass
class Check:
    """One order to draw tags, and its result."""

    base: str
    ended: bool = False
    problem: str = ""


_worker = ThreadPoolExecutor(1, "tags")  # one model in memory at a time


def folder(workspace: Workspace, spec: BaseModelSpec) -> Path:
    """Return the folder for the drawings of a base model."""
    return workspace.folder / _FOLDER / sha256_of_text(f"{spec.kind} {spec.source}")[:16]


def order(workspace: Workspace, spec: BaseModelSpec, tags: list[str]) -> Check:
    """Order these tags to be drawn, and return at once."""
    check = Check(spec.name)
    arguments = [
        "draw-tags", f"--base={spec.name}", f"--output={folder(workspace, spec)}", "--", captions.join(tags)
    ]  # fmt: skip
    _worker.submit(verbs.run_verb, workspace, arguments).add_done_callback(lambda done: _end(check, done))
    return check


def _end(check: Check, done: "Future[tuple[str, str]]") -> None:
    error = done.exception()
    check.problem = f"it could not be started ({error})" if error is not None else done.result()[1]
    check.ended = True
