"""The flow of a night: grow what is reviewed, and run the next generation of every project that is ready."""

import math
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import flow, get_run_logger
from prefect.states import Cancelled

from bootstrap.catalog import Catalog, generations, picks
from bootstrap.catalog.states import GenerationState
from bootstrap.dataset import growth
from bootstrap.errors import reason_of
from bootstrap.files import DISK_FLOOR
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from flows import missed, reports
from flows.bootstrap import bootstrap
from flows.deadline import next_time
from flows.enough import MIN_PICKS, enough
from flows.one_generation import AT_DEADLINE

MOST_ROUNDS = 4  # of drawing in one generation: what all of them did not bring, a fifth one hardly will


@dataclass(frozen=True)
class Plan:
    """What the night does with a project."""

    grow: bool
    run: bool
    reason: str
    more: bool = False  # the same generation's candidates once more, with other seeds


class NightFailed(RuntimeError):  # noqa: N818  # it is the night that failed
    """Some projects failed; the report says which and why."""


def plan(project: Project, catalog: Catalog, max_waiting: int = 0, min_picks: int = MIN_PICKS) -> Plan:
    """Decide what a project is ready for.

    A generation of which more than `max_waiting` candidates wait for a person is left alone; one that broke off is
    finished; a reviewed one is grown, and the next one run; one that brought fewer than `min_picks` new picks is drawn
    from once more, up to MOST_ROUNDS times as much as the recipes ask for, and then grown with what there is.
    """
    if running.is_running(project):
        return Plan(False, False, "a generation is running already")
    statuses = generations.statuses(catalog, project.name)
    if not statuses:
        return Plan(False, True, "its first generation")
    last = statuses[-1]
    if last.state is GenerationState.GROWN:
        return Plan(False, True, f"generation {last.number} is grown")
    if last.state is not GenerationState.PUBLISHED:
        return Plan(False, True, f"generation {last.number} broke off")
    if last.undecided > max_waiting:
        return Plan(False, False, f"{last.undecided} candidates of generation {last.number} wait for review")
    changes = picks.changes(catalog, project.name)
    if enough(changes, min_picks):
        return Plan(True, True, f"generation {last.number} is reviewed")
    reviewed = "reviewed" if not last.undecided else f"reviewed but for {last.undecided} candidates"
    few = len(changes.to_add)
    if last.candidates >= MOST_ROUNDS * sum(recipe.count for recipe in project.settings.recipe):
        reason = f"generation {last.number} is {reviewed}, and of {last.candidates} candidates "
        if few:
            return Plan(True, True, f"{reason}only {few} became picks: no more is drawn")
        return Plan(False, False, f"{reason}none was accepted: look at its recipes and training")
    brought = f"only {few} of {min_picks} picks are there" if few else "nothing was accepted"
    reason = f"generation {last.number} is {reviewed}, but {brought}: more is drawn"
    return Plan(False, True, reason, more=True)


@flow(name="nightly", flow_run_name="nightly")
def nightly(
    workspace: str,
    deadline: str | None = None,
    timezone: str = "UTC",
    max_waiting: int = 0,
    min_picks: int = MIN_PICKS,
) -> list[dict[str, str]]:
    """Go through the projects of a workspace, one after the other, the one that has waited longest first.

    Args:
        workspace: folder of the catalog and the projects.
        deadline: time of day such as "07:00": no project is begun after it, and the one at work is stopped.
        timezone: of the deadline, such as "Europe/Berlin".
        max_waiting: a project is worked on although so many of its candidates wait for review.
        min_picks: with fewer new picks more of the same generation is drawn, before the next one is trained.

    Returns:
        One row a project: project, outcome ("done", "skipped", "stopped" or "failed"), detail.

    Raises:
        NightFailed: some projects failed; the others were run all the same.
    """
    missed.made_up_for()
    place = Workspace.locate(workspace)
    names = in_turn(place)
    until = next_time(deadline, timezone, datetime.now(UTC)).timestamp() if deadline else None
    rows: list[dict[str, str]] = []
    for name in names:
        outcome, detail = one_project(place, name, until, max_waiting, min_picks)
        rows.append({"project": name, "outcome": outcome, "detail": detail})
        get_run_logger().info("project '%s': %s: %s", name, outcome, detail)
        if outcome == "cancelled":
            break
    reports.night(rows, place.folder)
    if rows and rows[-1]["outcome"] == "cancelled":
        return Cancelled(message="stopped")  # type: ignore[return-value]  # Prefect takes a state for the result
    failed = [row["project"] for row in rows if row["outcome"] == "failed"]
    if failed:
        raise NightFailed(f"{len(failed)} of {len(rows)} projects failed: {', '.join(failed)}")
    return rows


def in_turn(place: Workspace) -> list[str]:
    """Return the projects, those first that were worked on longest ago: a deadline leaves out others each night."""
    with closing(Catalog(place.catalog_url)) as catalog:
        waited = {}
        for name in place.project_names():
            known = generations.statuses(catalog, name)
            waited[name] = known[-1].seconds_since_update if known else math.inf
    return sorted(waited, key=lambda name: (-waited[name], name))


def one_project(
    place: Workspace,
    name: str,
    until: float | None,
    max_waiting: int,
    min_picks: int,
    only_reviewed: bool = False,
) -> tuple[str, str]:
    """Do what a project is ready for, and return the outcome and why; see nightly for both.

    Args:
        only_reviewed: do nothing but grow what is reviewed and run the next generation, or draw more where there were
            too few picks.
    """
    if until is not None and time.time() >= until:
        return "skipped", "the deadline was reached before its turn"
    if shutil.disk_usage(place.folder).free < DISK_FLOOR:
        return "failed", f"less than {DISK_FLOOR / 2**30:.0f} GiB are free on the workspace's disk"
    try:
        project = place.project(name)
        with closing(Catalog(place.catalog_url)) as catalog:
            planned = plan(project, catalog, max_waiting, min_picks)
            if only_reviewed and not (planned.grow or planned.more):
                return "skipped", planned.reason
            if planned.grow:
                grown = growth.grow(project, catalog)
                get_run_logger().info("project '%s': dataset grown to %d pictures", name, grown.size)
        if not planned.run:
            return "skipped", planned.reason
        state = bootstrap(str(place.folder), name, until, planned.more, return_state=True)
        if state.is_cancelled() and state.message == AT_DEADLINE:
            return "stopped", AT_DEADLINE
        if state.is_cancelled():
            return "cancelled", "stopped"
        summary = state.result()
    except Exception as error:  # the other projects have done nothing wrong; NightFailed tells it at the end
        get_run_logger().exception("project '%s' failed", name)
        return "failed", reason_of(error)
    published, number = summary["published"], summary["number"]
    return "done", f"{planned.reason}; generation {number}: {published} candidates to review"
