"""The nightly flow: grow reviewed datasets, and run the next generation of every project that is ready."""

import math
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import flow
from prefect.states import Cancelled

from bootstrap.catalog import Catalog, generations, picks
from bootstrap.catalog.states import GenerationState
from bootstrap.dataset import growth
from bootstrap.errors import printable, reason_of
from bootstrap.files import DISK_FLOOR
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from flows import missed, reports
from flows.bootstrap import bootstrap
from flows.deadline import next_time
from flows.enough import MIN_PICKS, enough
from flows.one_generation import AT_DEADLINE
from flows.run_log import run_log

BY_PERSON = "cancelled by a person"
MOST_ROUNDS = 4  # of drawing per generation: if four bring too few picks, a fifth hardly helps


@dataclass(frozen=True)
class NightStep:
    """What the night does with a project, and why."""

    grow: bool
    run: bool
    reason: str
    more: bool = False  # draw the same number of candidates of the same generation again, with other seeds


class NightFailed(RuntimeError):  # noqa: N818  # the name says what failed
    """Some projects failed; the night's report says which ones and why."""


def next_step(
    project: Project, catalog: Catalog, max_waiting: int = 0, min_picks: int = MIN_PICKS
) -> NightStep:
    """Decide what the night does with a project.

    An unfinished generation is finished. A generation with more than `max_waiting` undecided candidates waits for the
    reviewer. A reviewed one is grown, and the next one run. If it brought fewer than `min_picks` new picks, more of it
    is drawn first, up to MOST_ROUNDS times what the recipes ask for; then it is grown with the picks it has, if any.
    """
    if running.is_running(project):
        return NightStep(False, False, "a generation is running already")
    statuses = generations.statuses(catalog, project.name)
    if not statuses:
        return NightStep(False, True, "its first generation")
    last = statuses[-1]
    if last.state is GenerationState.GROWN:
        return NightStep(False, True, f"generation {last.number} is grown")
    if last.state is not GenerationState.PUBLISHED:
        return NightStep(False, True, f"generation {last.number} is unfinished")
    if last.undecided > max_waiting:
        return NightStep(
            False, False, f"{last.undecided} candidates of generation {last.number} wait for review"
        )
    changes = picks.changes(catalog, project.name)
    if enough(changes, min_picks):
        return NightStep(True, True, f"generation {last.number} is reviewed")
    reviewed = "reviewed" if not last.undecided else f"reviewed except for {last.undecided} candidates"
    new_picks = len(changes.to_add)
    if last.candidates >= MOST_ROUNDS * sum(recipe.count for recipe in project.settings.recipe):
        reason = f"generation {last.number} is {reviewed}, and of {last.candidates} candidates "
        if new_picks:
            return NightStep(True, True, f"{reason}only {new_picks} became picks: no more is drawn")
        return NightStep(False, False, f"{reason}none was accepted: look at its recipes and training")
    shortage = f"has only {new_picks} of {min_picks} picks" if new_picks else "no candidate was accepted"
    reason = f"generation {last.number} is {reviewed}, but {shortage}: more is drawn"
    return NightStep(False, True, reason, more=True)


@flow(name="nightly", flow_run_name="nightly")
def nightly(
    workspace: str,
    deadline: str | None = None,
    timezone: str = "UTC",
    max_waiting: int = 0,
    min_picks: int = MIN_PICKS,
) -> list[dict[str, str]]:
    """Work on the projects of a workspace one after another, the one that has waited longest first.

    Args:
        workspace: folder of the catalog and the projects.
        deadline: time of day such as "07:00", after which no project starts and the running one stops.
        timezone: of the deadline, such as "Europe/Berlin".
        max_waiting: work on a project even if up to this many of its candidates wait for review.
        min_picks: with fewer new picks, draw more of the same generation before the next one.

    Returns:
        One row per project: project, outcome ("done", "skipped", "cancelled" or "failed"), detail.

    Raises:
        NightFailed: some projects failed; the others have run nevertheless.
    """
    missed.cancel_missed_runs()
    located = Workspace.locate(workspace)
    names = in_turn(located)
    until = next_time(deadline, timezone, datetime.now(UTC)).timestamp() if deadline else None
    rows: list[dict[str, str]] = []
    for name in names:
        outcome, detail = work_on_project(located, name, until, max_waiting, min_picks)
        rows.append({"project": name, "outcome": outcome, "detail": printable(detail)})
        run_log().info("project '%s': %s: %s", name, outcome, detail)
        if (outcome, detail) == ("cancelled", BY_PERSON):
            break
    strays = [
        {
            "project": repr(stray.path.name),
            "outcome": "skipped",
            "detail": f"no project: {stray.what}; {stray.remedy}",
        }
        for stray in located.strays()
    ]
    reports.report_night(rows + strays, located.folder)
    if rows and (rows[-1]["outcome"], rows[-1]["detail"]) == ("cancelled", BY_PERSON):
        return Cancelled(message=BY_PERSON)  # type: ignore[return-value]  # Prefect accepts a state as the result
    failed = [row["project"] for row in rows if row["outcome"] == "failed"]
    if failed:
        raise NightFailed(f"{len(failed)} of {len(rows)} projects failed: {', '.join(failed)}")
    return rows


def in_turn(located: Workspace) -> list[str]:
    """Return the projects' names, the longest waiting first, so that a deadline does not always skip the same ones."""
    with closing(located.open_catalog()) as catalog:
        seconds_waited = {}
        for name in located.project_names():
            statuses = generations.statuses(catalog, name)
            seconds_waited[name] = statuses[-1].seconds_since_update if statuses else math.inf
    return sorted(seconds_waited, key=lambda name: (-seconds_waited[name], name))


def work_on_project(
    located: Workspace,
    name: str,
    until: float | None,
    max_waiting: int,
    min_picks: int,
    only_reviewed: bool = False,
) -> tuple[str, str]:
    """Take a project's next step, and return the outcome and its reason; see `nightly` for both.

    Args:
        only_reviewed: only continue after a finished review: grow and run the next generation, or draw more if there
            are too few picks.
    """
    if until is not None and time.time() >= until:
        return "skipped", "the deadline was reached before its turn"
    if shutil.disk_usage(located.folder).free < DISK_FLOOR:
        return "failed", f"less than {DISK_FLOOR / 2**30:.0f} GiB is free on the workspace's disk"
    try:
        project = located.project(name)
        with closing(located.open_catalog()) as catalog:
            step = next_step(project, catalog, max_waiting, min_picks)
            if only_reviewed and not (step.grow or step.more):
                return "skipped", step.reason
            if step.grow:
                grown = growth.grow(project, catalog)
                run_log().info("project '%s': dataset grown to %d pictures", name, grown.size)
        if not step.run:
            return "skipped", step.reason
        state = bootstrap(str(located.folder), name, until, step.more, return_state=True)
        if state.is_cancelled() and state.message == AT_DEADLINE:
            return "cancelled", AT_DEADLINE
        if state.is_cancelled():
            return "cancelled", BY_PERSON
        summary = state.result()
    except Exception as error:  # the other projects still run; NightFailed reports this one at the end
        run_log().exception("project '%s' failed", name)
        return "failed", reason_of(error)
    published, number = summary["published"], summary["number"]
    return "done", f"{step.reason}; generation {number}: {published} candidates published"
