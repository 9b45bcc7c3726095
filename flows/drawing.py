"""Drawing in shards: one after another in this process, or on a Ray cluster, many at once."""

import time
from typing import Any

from prefect import get_run_logger, task

from bootstrap.catalog import candidates
from bootstrap.loop import generation as loop
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.generation import Generation
from flows import cluster, console
from flows.deadline import DeadlineReached, stopping
from flows.one_generation import PAUSES, can_pass, opened_generation
from flows.stations import STATION


@task(**STATION)
def plan_drawing(
    workspace: str, project: str, number: int, workers: int, more: bool = False
) -> list[dict[str, Any]]:
    """Return the shards of what is to be drawn."""
    with opened_generation(workspace, project, number) as generation:
        shards = loop.plan_drawing(generation, workers, _reporting(generation), more)
    return [shard.to_dict() for shard in shards]


@task(**STATION, task_run_name="draw-shard-{shard[number]}")
def draw_shard(
    workspace: str, project: str, number: int, shard: dict[str, Any], until: float | None, alone: bool
) -> None:
    """Draw the candidates of a shard.

    Args:
        alone: whether no other shard is drawn meanwhile; if not, whoever has them drawn reports.
    """
    from bootstrap.drawing.shards import Shard

    with opened_generation(workspace, project, number) as generation:
        report = _reporting(generation) if alone else silent
        part = Shard.from_dict(shard)
        get_run_logger().info(
            "project '%s', generation %d, shard %d: %d pictures",
            project,
            number,
            part.number,
            len(part.planned),
        )
        loop.draw_shard(generation, part, stopping(report, until))


def draw(workspace: str, project: str, number: int, until: float | None, more: bool = False) -> None:
    """Draw what is missing of a generation, with `more` as much again; only from within a flow."""
    if cluster.is_named():
        _on_cluster(workspace, project, number, until, more)
        return
    for shard in plan_drawing(workspace, project, number, 1, more):
        draw_shard(workspace, project, number, shard, until, True)


def _on_cluster(workspace: str, project: str, number: int, until: float | None, more: bool) -> None:
    """Have the shards drawn at once; those of lost workers are planned anew, with what they lack."""
    for pause in (*PAUSES, None):
        with opened_generation(workspace, project, number) as generation, cluster.connected() as workers:
            shards = plan_drawing(workspace, project, number, workers.workers, more)
            if not shards:
                return
            total, report = shards[0]["total"], _reporting(generation)
            calls = [
                {
                    "workspace": workspace, "project": project, "number": number, "shard": shard, "until": until,
                    "alone": False,
                }
                for shard in shards
            ]  # fmt: skip
            there = shards[0]["before"], time.monotonic()

            def told(
                generation: Generation = generation,
                report: Report = report,
                total: int = total,
                there: tuple[int, float] = there,
            ) -> None:
                drawn = candidates.drawn_count(generation.catalog, project, number)
                rate = (drawn - there[0]) / (time.monotonic() - there[1])
                report(Progress("draw", min(drawn, total), total, "pictures", max(rate, 0.0)))

            errors = workers.run(draw_shard, calls, told)
            told()
        if not errors:
            return
        serious = [error for error in errors if not can_pass(error)]
        if serious or pause is None:
            stopped = [error for error in errors if isinstance(error, DeadlineReached)]
            raise (stopped or serious or errors)[0]
        get_run_logger().warning("%d shards were lost (%s); they are drawn again", len(errors), errors[0])
        time.sleep(pause)


def _reporting(generation: Generation) -> Report:
    return loop.reporter(generation, console.report)
