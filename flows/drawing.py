"""Drawing in shards: one in this process, or many at once on a Ray cluster."""

import time
from typing import Any

from prefect import task

from bootstrap.catalog import candidates
from bootstrap.loop import generation as loop
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.generation import Generation
from flows import cluster, console
from flows.deadline import DeadlineReached, stopping
from flows.one_generation import PAUSES, can_pass, open_generation
from flows.run_log import run_log
from flows.stations import STATION


@task(**STATION)
def plan_drawing(
    workspace: str, project: str, number: int, workers: int, more: bool = False
) -> list[dict[str, Any]]:
    """Return the shards of the missing candidates, as dicts."""
    with open_generation(workspace, project, number) as generation:
        shards = loop.plan_drawing(generation, workers, _reporter(generation), more)
    return [shard.to_dict() for shard in shards]


@task(**STATION, task_run_name="draw-shard-{shard[number]}")
def draw_shard(
    workspace: str, project: str, number: int, shard: dict[str, Any], until: float | None, alone: bool
) -> None:
    """Draw the candidates of a shard.

    Args:
        until: when to stop, in seconds since 1970, None for never.
        alone: whether no other shard is being drawn; if others are, the caller reports the progress of all.
    """
    from bootstrap.drawing.shards import Shard

    with open_generation(workspace, project, number) as generation:
        report = _reporter(generation) if alone else silent
        described = Shard.from_dict(shard)
        run_log().info(
            "project '%s', generation %d, shard %d: %d pictures",
            project,
            number,
            described.number,
            len(described.planned),
        )
        loop.draw_shard(generation, described, stopping(report, until))


def draw_in_shards(
    workspace: str, project: str, number: int, until: float | None, more: bool = False
) -> None:
    """Draw a generation's missing candidates, with `more` the same number again; call it within a flow."""
    if cluster.is_named():
        _draw_on_cluster(workspace, project, number, until, more)
        return
    for shard in plan_drawing(workspace, project, number, 1, more):
        draw_shard(workspace, project, number, shard, until, True)


def _draw_on_cluster(workspace: str, project: str, number: int, until: float | None, more: bool) -> None:
    """Draw the shards at the same time; what lost workers leave missing is planned and drawn again."""
    for pause in (*PAUSES, None):
        with open_generation(workspace, project, number) as generation, cluster.connected() as workers:
            shards = plan_drawing(workspace, project, number, workers.workers, more)
            if not shards:
                return
            total, report = shards[0]["total"], _reporter(generation)
            calls = [
                {
                    "workspace": workspace, "project": project, "number": number, "shard": shard, "until": until,
                    "alone": False,
                }
                for shard in shards
            ]  # fmt: skip
            before, started = shards[0]["before"], time.monotonic()

            def report_progress(
                generation: Generation = generation,
                report: Report = report,
                total: int = total,
                before: int = before,
                started: float = started,
            ) -> None:
                drawn = candidates.drawn_count(generation.catalog, project, number)
                rate = (drawn - before) / (time.monotonic() - started)
                report(Progress("draw", min(drawn, total), total, "pictures", max(rate, 0.0)))

            errors = workers.run_tasks(draw_shard, calls, report_progress)
            report_progress()
        if not errors:
            return
        serious = [error for error in errors if not can_pass(error)]
        if serious or pause is None:
            stopped = [error for error in errors if isinstance(error, DeadlineReached)]
            raise (stopped or serious or errors)[0]
        run_log().warning("%d shards were lost (%s); they are drawn again", len(errors), errors[0])
        time.sleep(pause)


def _reporter(generation: Generation) -> Report:
    return loop.reporter(generation, console.report)
