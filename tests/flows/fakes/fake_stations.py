"""Fake stations that take milliseconds and write to the catalog what the real ones write.

Files in the project's folder control them:
    fake-fail     such as "draw:OSError:28" or "train:UserError:network_dim is odd"
    fake-once     if it exists, a station fails only the first time
    fake-seconds  how long training takes, 0.2 by default
"""

import builtins
import os
import time
import types
from pathlib import Path
from typing import Any

from PIL import Image

from bootstrap.catalog import candidate_states
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.states import CandidateState
from bootstrap.drawing.shards import DrawingPlan, Planned
from bootstrap.errors import UserError
from bootstrap.progress import Progress
from bootstrap.project.generation import Generation
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


def _train(generation: Generation, class_pictures: Any, report: Any) -> None:
    folder = generation.project.folder
    _fail("train", folder)
    steps = 20
    for step in range(1, steps + 1):
        time.sleep(_seconds(folder) / steps)
        report(Progress("train", step, steps, "steps", 100.0, f"loss {1 / step:.4f}"))


def _plan(generation: Generation, more: bool = False) -> DrawingPlan:
    _fail("plan", generation.project.folder)
    have = {candidate.id for candidate in generation.candidates(state=None)}
    count = len(have) + 4 if more else 4
    shots = [
        Shot(
            "a, b", "", 100 * generation.number + seed, 20, "DDIM", 3.0, 128, 128, "papertown", "0" * 64,
            (LoraUse("l", "t", 1, 0.6),), recipe="vary",
        )
        for seed in range(count)
    ]  # fmt: skip
    missing = [Planned(turn, shot) for turn, shot in enumerate(shots) if shot.id not in have]
    return DrawingPlan(missing, count)


def _draw_planned(generation: Generation, planned: list[Planned], report: Any) -> None:
    folder = generation.project.folder
    _fail("draw", folder)
    new = []
    for picture in planned:
        path = generation.candidates_folder / f"{picture.shot.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (128, 128), (picture.turn, 0, 0)).save(path)
        new.append(NewCandidate(picture.shot.id, picture.shot, path.relative_to(folder), picture.turn))
    candidate_states.add_drawn(generation.catalog, generation.project.name, generation.number, new)
    report(Progress("draw", len(planned), len(planned), "pictures", 50.0))


def _draw(generation: Generation, report: Any, more: bool) -> None:
    _draw_planned(generation, _plan(generation, more).missing, report)


def _curate(generation: Generation, report: Any) -> None:
    _fail("curate", generation.project.folder)


def _publish(generation: Generation) -> Path:
    _fail("publish", generation.project.folder)
    drawn = [candidate.id for candidate in generation.candidates(state=CandidateState.DRAWN)]
    candidate_states.put_up(generation.catalog, generation.project.name, drawn)
    sheet = generation.folder / "contact-sheet.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (800, 600), "teal").save(sheet)
    return sheet


def modules() -> dict[str, types.ModuleType]:
    """Return fake modules of all stations, by name."""
    functions_of = {
        "bootstrap.training.snapshot_training": {"train_snapshots": _train},
        "bootstrap.drawing.candidate_drawing": {
            "plan_candidates": _plan,
            "draw_planned": _draw_planned,
            "draw_candidates": _draw,
        },
        "bootstrap.curation.duplicate_marking": {"mark_duplicates": _curate},
        "bootstrap.curation.publishing": {"publish": _publish},
    }
    fakes = {}
    for name, functions in functions_of.items():
        fakes[name] = types.ModuleType(name)
        vars(fakes[name]).update(functions)
    return fakes
