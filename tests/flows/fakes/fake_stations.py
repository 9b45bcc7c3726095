"""Stations that take milliseconds and leave in the catalog what the real ones do.

Files in the project's folder tell them what to do:
    fake-fail     such as "draw:OSError:28" or "train:UserError:network_dim is odd"
    fake-once     if it is there, a station fails only the first time
    fake-seconds  how long training takes, 0.2 without it
"""

import builtins
import os
import time
import types
from pathlib import Path
from typing import Any

from PIL import Image

from bootstrap.catalog import generations, tables
from bootstrap.drawing.shards import DrawingPlan, Planned
from bootstrap.errors import UserError
from bootstrap.progress import Progress
from bootstrap.shots import LoraUse, Shot


def _fail(station: str, folder: Path) -> None:
    order = folder / "fake-fail"
    if not order.exists():
        return
    name, kind, argument = order.read_text().split(":", 2)
    if name != station:
        return
    if (folder / "fake-once").exists():
        order.unlink()
    if kind == "OSError":
        raise OSError(int(argument), os.strerror(int(argument)))
    if kind == "UserError":
        raise UserError(argument)
    raise getattr(builtins, kind)(argument)


def _seconds(folder: Path) -> float:
    order = folder / "fake-seconds"
    return float(order.read_text()) if order.exists() else 0.2


def _train(project: Any, catalog: Any, number: int, class_pictures: Any, report: Any) -> None:
    _fail("train", project.folder)
    steps = 20
    for step in range(1, steps + 1):
        time.sleep(_seconds(project.folder) / steps)
        report(Progress("train", step, steps, "steps", 100.0, f"loss {1 / step:.4f}"))


def _plan(project: Any, catalog: Any, number: int, more: bool = False) -> DrawingPlan:
    _fail("plan", project.folder)
    with catalog.read() as session:
        row = generations.generation_row(session, project.name, number)
        have = {one.shot_id for one in session.query(tables.CandidateRow).filter_by(generation_id=row.id)}
    count = len(have) + 4 if more else 4
    shots = [
        Shot(
            "a, b", "", 100 * number + seed, 20, "DDIM", 3.0, 128, 128, "papertown", "0" * 64,
            (LoraUse("l", "t", 1, 0.6),), "vary",
        )
        for seed in range(count)
    ]  # fmt: skip
    missing = [Planned(turn, shot) for turn, shot in enumerate(shots) if shot.id not in have]
    return DrawingPlan(missing, count)


def _draw_planned(project: Any, catalog: Any, number: int, planned: list[Planned], report: Any) -> None:
    _fail("draw", project.folder)
    with catalog.write() as session:
        row = generations.generation_row(session, project.name, number)
        for one in planned:
            path = f"generation-{number:02d}/candidates/{one.shot.id}.png"
            drawn = tables.CandidateRow(
                project_id=row.project_id, generation_id=row.id, shot_id=one.shot.id, turn=one.turn
            )
            drawn.shot, drawn.path, drawn.state = one.shot.to_dict(), path, "drawn"
            session.add(drawn)
            (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (128, 128), (one.turn, 0, 0)).save(project.folder / path)
    report(Progress("draw", len(planned), len(planned), "pictures", 50.0))


def _draw(project: Any, catalog: Any, number: int, report: Any, more: bool) -> None:
    _draw_planned(project, catalog, number, _plan(project, catalog, number, more).missing, report)


def _curate(project: Any, catalog: Any, number: int, report: Any) -> None:
    _fail("curate", project.folder)


def _publish(project: Any, catalog: Any, number: int) -> Path:
    _fail("publish", project.folder)
    with catalog.write() as session:
        row = generations.generation_row(session, project.name, number)
        for candidate in session.query(tables.CandidateRow).filter_by(generation_id=row.id, state="drawn"):
            candidate.state = "published"
    sheet = project.generation_folder(number) / "contact-sheet.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (800, 600), "teal").save(sheet)
    return sheet


def modules() -> dict[str, types.ModuleType]:
    """Return the modules of the stations by their names, fakes all of them."""
    made = {
        "bootstrap.training.run": {"train": _train},
        "bootstrap.drawing.run": {"plan": _plan, "draw_planned": _draw_planned, "draw": _draw},
        "bootstrap.curation.run": {"curate": _curate},
        "bootstrap.curation.publishing": {"publish": _publish},
    }
    found = {}
    for name, functions in made.items():
        found[name] = types.ModuleType(name)
        vars(found[name]).update(functions)
    return found
