"""Orders to draw a candidate again: each runs in its own process, one after another, so that no page waits.

The process is the verb `sid again` or `sid inpaint`, which holds the project's lease while it draws.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from bootstrap import reading
from bootstrap.project.projects import Project
from review_app import verbs

_MOST_LISTED = 6  # orders of a project; the oldest ended ones are dropped first


class _Answer(BaseModel):
    """What `sid again --json` and `sid inpaint --json` print."""

    candidates: list[str]


@dataclass
class Fix:
    """One order to draw again, and its result."""

    what: str  # description for a person
    order: list[str]  # the verb and its arguments
    ended: bool = False
    problem: str = ""
    drawn: list[str] = field(default_factory=list)  # ids of the new candidates, which are published
    was_shown: bool = False  # the deck has received them


_worker = ThreadPoolExecutor(1, "fix")  # one model in memory at a time
_fixes: dict[Path, list[Fix]] = {}
_lock = threading.Lock()


def fixes(project: Project) -> list[Fix]:
    """Return the orders that this server has for a project, the oldest first."""
    return list(_fixes.get(project.folder, []))


def forget(project: Project, fix: Fix) -> None:
    """Remove an ended order from the list."""
    with _lock:
        _fixes[project.folder] = [listed for listed in _fixes.get(project.folder, []) if listed is not fix]


def order(project: Project, what: str, verb: str, candidate_id: str, options: Mapping[str, object]) -> Fix:
    """Order a candidate to be drawn again, and return at once.

    Args:
        project: whose candidate.
        what: description of the order for a person.
        verb: `again` or `inpaint`.
        candidate_id: the candidate to draw again.
        options: the verb's options by name; those that are None are left out, True stands for a flag.
    """
    arguments = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in options.items()
        if value is not None
    ]
    fix = Fix(what, [verb, "--json", *arguments, "--", project.name, candidate_id])
    with _lock:
        listed = _fixes.setdefault(project.folder, [])
        listed.append(fix)
        for old in [fix for fix in listed if fix.ended][: max(0, len(listed) - _MOST_LISTED)]:
            listed.remove(old)
    future = _worker.submit(_run, project, fix)
    future.add_done_callback(lambda done: _end(fix, done))
    return fix


def _run(project: Project, fix: Fix) -> None:
    output, fix.problem = verbs.run_verb(project.workspace, fix.order)
    if not fix.problem:
        answer = reading.parse_json(output, "the verb's answer", "see the server's log")
        fix.drawn = reading.shaped(_Answer, answer, "the verb's answer", "see the server's log").candidates


def _end(fix: Fix, done: "Future[None]") -> None:
    error = done.exception()
    if error is not None:
        fix.problem = f"it could not be started ({error})"
    fix.ended = True
