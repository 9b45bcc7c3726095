"""Drawing candidates again: each in a process of its own, one after the other, for a page must not wait for it.

The process is the verb `sid again` or `sid inpaint`, which holds the project while it draws.
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.project.projects import Project
from review_app import verbs

_MOST_TOLD = 6  # of a project, ended ones first forgotten


@dataclass
class Fix:
    """One order to draw again, and what came of it."""

    what: str  # for a person
    order: list[str]  # the verb and its arguments
    ended: bool = False
    problem: str = ""
    drawn: list[str] = field(default_factory=list)  # candidates that are up for review now
    was_shown: bool = False  # the deck has been told of them


_worker = ThreadPoolExecutor(1, "fix")  # one model in memory at a time
_fixes: dict[Path, list[Fix]] = {}
_lock = threading.Lock()


def fixes(project: Project) -> list[Fix]:
    """Return this server's orders for a project, the oldest first."""
    return list(_fixes.get(project.folder, []))


def forget(project: Project, fix: Fix) -> None:
    """Tell no more of an order that has ended."""
    with _lock:
        _fixes[project.folder] = [one for one in _fixes.get(project.folder, []) if one is not fix]


def order(project: Project, what: str, verb: str, candidate_id: str, options: Mapping[str, object]) -> Fix:
    """Order a candidate to be drawn again; returns at once.

    Args:
        what: what is done, for a person.
        verb: again or inpaint.
        options: of the verb, by name; None leaves one out.
    """
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    fix = Fix(what, [verb, "--json", *given, "--", project.name, candidate_id])
    with _lock:
        told = _fixes.setdefault(project.folder, [])
        told.append(fix)
        for old in [one for one in told if one.ended][: max(0, len(told) - _MOST_TOLD)]:
            told.remove(old)
    future = _worker.submit(_run, project, fix)
    future.add_done_callback(lambda done: _end(fix, done))
    return fix


def _run(project: Project, fix: Fix) -> None:
    output, fix.problem = verbs.run(project.workspace, fix.order)
    if not fix.problem:
        fix.drawn = json.loads(output)["candidates"]


def _end(fix: Fix, done: "Future[None]") -> None:
    error = done.exception()
    if error is not None:
        fix.problem = f"it could not be started ({error})"
    fix.ended = True
