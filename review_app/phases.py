"""The phase of a project, which decides what its Generations page offers. No Streamlit."""

import time
from collections.abc import Sequence
from enum import Enum

from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from bootstrap.commands import command
from bootstrap.project import running
from bootstrap.project.projects import Project
from review_app.starting import Start

_SILENT_SECONDS = 20  # a run on another machine that reports nothing for this long counts as dead
_PATIENCE_SECONDS = 90  # for a start to reach the catalog: Prefect polls every 10 s, and imports take time


class Phase(Enum):
    """What a project is doing."""

    NEW = "new"  # no generation yet
    STARTING = "starting"
    RUNNING = "running"
    INTERRUPTED = "interrupted"  # the process died; starting again resumes where it stopped
    CANCELLED = "cancelled"  # by a person, or at a deadline
    FAILED = "failed"
    REVIEW = "review"
    GROWN = "grown"


BUSY = (Phase.STARTING, Phase.RUNNING)


def phase(project: Project, statuses: Sequence[GenerationStatus], start: Start | None) -> tuple[Phase, str]:
    """Return what the project is doing, and the reason to show with it, or an empty text."""
    latest = statuses[-1] if statuses else None
    trouble = ""
    if (
        start is not None
        and not _reached_catalog(latest, start)
        and not (start.cancelled and not start.is_alive())
    ):
        trouble = start.trouble() or ""
        if not trouble and (start.is_alive() or time.time() - start.at < _PATIENCE_SECONDS):
            return Phase.STARTING, ""
        if not trouble and start.flow_run:
            trouble = (
                "Prefect accepted the run, but no runner started it; is "
                f"`{command('serve')}` or `{command('up')}` running?"
            )
    if trouble:
        return Phase.FAILED, trouble
    if latest is None:
        return Phase.NEW, ""
    if latest.state.is_running:
        reported_lately = latest.seconds_since_update < _SILENT_SECONDS
        alive = reported_lately or running.is_running(project) or (start is not None and start.is_alive())
        return (Phase.RUNNING if alive else Phase.INTERRUPTED), ""
    if latest.state is GenerationState.CANCELLED:
        return Phase.CANCELLED, latest.message
    if latest.state is GenerationState.FAILED:
        return Phase.FAILED, latest.message or f"generation {latest.number} failed"
    return (Phase.GROWN if latest.state is GenerationState.GROWN else Phase.REVIEW), ""


def _reached_catalog(latest: GenerationStatus | None, start: Start) -> bool:
    return latest is not None and time.time() - latest.seconds_since_update >= start.at
