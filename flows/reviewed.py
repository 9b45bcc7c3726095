"""The flow that begins the next generation of what a person has finished reviewing."""

from prefect import flow, get_run_logger

from bootstrap.project.projects import Workspace
from flows import nightly as night
from flows import reports
from flows.enough import MIN_PICKS


@flow(name="reviewed", flow_run_name="reviewed")
def reviewed(workspace: str, project: str | None = None, min_picks: int = MIN_PICKS) -> list[dict[str, str]]:
    """Grow the dataset of a reviewed project, and run its next generation; with too few picks, draw more of the same.

    Args:
        workspace: folder of the catalog and the projects.
        project: the one whose review is finished, as the event tells; None looks at all, for the events that were
            lost.
        min_picks: how many new picks are enough.

    Returns:
        One row for each project that was worked on: project, outcome ("done" or "failed"), detail.

    Raises:
        NightFailed: a project failed.
    """
    place = Workspace.locate(workspace)
    rows: list[dict[str, str]] = []
    for name in [project] if project else place.project_names():
        outcome, detail = night.one_project(place, name, None, 0, min_picks, only_reviewed=True)
        get_run_logger().info("project '%s': %s: %s", name, outcome, detail)
        if outcome != "skipped":
            rows.append({"project": name, "outcome": outcome, "detail": detail})
    if rows:
        reports.night(rows, place.folder)
    failed = [row["project"] for row in rows if row["outcome"] == "failed"]
    if failed:
        raise night.NightFailed(f"{len(failed)} of {len(rows)} projects failed: {', '.join(failed)}")
    return rows
