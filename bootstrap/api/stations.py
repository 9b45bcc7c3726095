"""Run the stations of a generation: train, draw, curate, publish."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Literal, get_args

from bootstrap.errors import UserError
from bootstrap.loop import generation as loop
from bootstrap.loop.generation import Summary
from bootstrap.progress import Report, silent
from bootstrap.project import running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project

Station = Literal["train", "draw", "curate", "publish"]


def run_generation(project: Project, report: Report = silent) -> Summary:
    """Run the project's next generation, or resume the one that was interrupted, until its candidates await review.

    Args:
        report: called with a `bootstrap.progress.Progress` while it trains, draws and curates.

    Returns:
        The numbers of candidates drawn, published and marked as duplicates, and the contact sheet's path.

    Raises:
        UserError: a setting, file or model is wrong, or another process is working on this project.
    """
    with _prepared(project) as generation, loop.ending_recorded(generation):
        loop.train(generation, report)
        loop.draw(generation, report)
        loop.curate(generation, report)
        return loop.publish(generation)


def run_station(project: Project, station: Station, report: Report = silent) -> Summary | None:
    """Run one station of the current generation, or the missing part of its work.

    Args:
        station: "train", "draw", "curate" or "publish"; each needs the one before it.
        report: as in run_generation.

    Returns:
        The result of `publish`; None after the other stations.

    Raises:
        UserError: as in run_generation, or the station is unknown, or the one before it has not run.
    """
    if station not in get_args(Station):
        raise UserError(f"station '{station}': unknown, use {', '.join(get_args(Station))}")
    with _prepared(project) as generation, _recorded(generation, station):
        if station == "publish":
            return loop.publish(generation)
        {"train": loop.train, "draw": loop.draw, "curate": loop.curate}[station](generation, report)
    return None


@contextmanager
def _prepared(project: Project) -> Iterator[Generation]:
    """Lock the project, and check everything before any work."""
    with closing(project.workspace.open_catalog()) as catalog, running.exclusively(project):
        yield loop.prepare(project, catalog)


def _recorded(generation: Generation, station: Station) -> AbstractContextManager[None]:
    """Record how the station ends; a station that cannot begin does not change the generation's state."""
    training = generation.training()
    if station != "train" and (training is None or not training.finished):
        raise UserError(
            f"station '{station}': {generation} is not trained yet; run the station 'train' first"
        )
    return loop.ending_recorded(generation)
