"""The flow that starts a project's next generation as soon as its review is finished."""

from prefect import flow

from bootstrap.project.projects import Workspace
from flows import nightly as night
from flows import reports
from flows.enough import MIN_PICKS
from flows.run_log import run_log


@flow(name="reviewed", flow_run_name="reviewed")
def reviewed(workspace: str, project: str | None = None, min_picks: int = MIN_PICKS) -> list[dict[str, str]]:
    """Grow a reviewed project's dataset and run its next generation; with too few picks, draw more candidates first.

    Args:
        workspace: folder of the catalog and the projects.
        project: the project whose review is finished, from the event; None checks all projects, in case an event was
            lost.
        min_picks: number of new picks that suffices for the next generation.

    Returns:
        One row per project that was worked on: project, outcome ("done" or "failed"), detail.

    Raises:
        NightFailed: a project failed.
    """
    located = Workspace.locate(workspace)
    rows: list[dict[str, str]] = []
    for name in [project] if project else located.project_names():
        outcome, detail = night.work_on_project(located, name, None, 0, min_picks, only_reviewed=True)
        run_log().info("project '%s': %s: %s", name, outcome, detail)
        if outcome != "skipped":
            rows.append({"project": name, "outcome": outcome, "detail": detail})
    if rows:
        reports.report_night(rows, located.folder)
    failed = [row["project"] for row in rows if row["outcome"] == "failed"]
    if failed:
        raise night.NightFailed(f"{len(failed)} of {len(rows)} projects failed: {', '.join(failed)}")
    return rows
