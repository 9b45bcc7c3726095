"""The loss over the steps of a training, in a small file beside its snapshots, for a chart that follows the run.

The file is JSON: `{"steps": [5, 10], "losses": [0.12, 0.11]}`, each loss the mean over the steps since the one before.
"""

import json
import time
from pathlib import Path

from pydantic import BaseModel

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.progress import Progress, Report

FILE = "loss.json"
_MOST_POINTS = 400
_EVERY_SECONDS = 2.0


class _Curve(BaseModel):
    steps: list[int]
    losses: list[float]


def read(folder: Path) -> list[tuple[int, float]]:
    """Return the points (step, mean loss) of the training in this folder; none without a readable file."""
    try:
        value = reading.json_file(folder / FILE, "loss curve", "")
        curve = reading.shaped(_Curve, value, "loss curve", "")
    except (OSError, UserError):
        return []
    return list(zip(curve.steps, curve.losses, strict=False))


def following(folder: Path, report: Report) -> Report:
    """Return a report that passes everything on, and keeps the file of the loss in the training's folder.

    A resumed training goes on with the points up to the step that it resumes from.
    """
    points: list[tuple[int, float]] = []
    losses: list[float] = []  # since the last point
    written_at = 0.0

    def report_and_note(progress: Progress) -> None:
        nonlocal points, written_at
        report(progress)
        if progress.stage != "train":
            return
        if progress.loss is None:  # before the first step
            points = [point for point in read(folder) if point[0] <= progress.done]
            return
        losses.append(progress.loss)
        is_last = progress.done >= progress.total
        if len(losses) < -(-progress.total // _MOST_POINTS) and not is_last:
            return
        points.append((progress.done, sum(losses) / len(losses)))
        losses.clear()
        if is_last or time.monotonic() - written_at >= _EVERY_SECONDS:
            written_at = time.monotonic()
            steps, means = zip(*points, strict=True)
            write_text(folder / FILE, json.dumps({"steps": steps, "losses": means}))

    return report_and_note
