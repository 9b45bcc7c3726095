"""Put this folder on PYTHONPATH, and that Python's stations are fakes: milliseconds, and a real catalog.

The flows run in processes of their own, where no monkeypatch reaches; Python imports this file at its start.
What the fakes do is said in environment variables:
    FAKE_FAIL      such as "draw:OSError:28" or "train:UserError:network_dim is odd"; fails each time
    FAKE_FAIL_ONCE the same, but only the first time (a file in the project's folder remembers it)
    FAKE_SECONDS   how long training takes, 0.2 by default
"""

import builtins
import os
import sys
import time
import types
from pathlib import Path
from typing import Any


def _fail(station: str, folder: Path) -> None:
    for variable in ("FAKE_FAIL", "FAKE_FAIL_ONCE"):
        name, _, rest = os.environ.get(variable, "").partition(":")
        if name != station:
            continue
        done = folder / f".failed-{station}"
        if variable == "FAKE_FAIL_ONCE" and done.exists():
            continue
        done.touch()
        kind, _, argument = rest.partition(":")
        if kind == "OSError":
            raise OSError(int(argument), os.strerror(int(argument)))
        if kind == "UserError":
            from bootstrap.errors import UserError

            raise UserError(argument)
        raise getattr(builtins, kind)(argument)


def _train(project: Any, catalog: Any, number: int, report: Any) -> None:
    from bootstrap.progress import Progress

    _fail("train", project.folder)
    steps = 20
    for step in range(1, steps + 1):
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0.2")) / steps)
        report(Progress("train", step, steps, "steps", 100.0, f"loss {1 / step:.4f}"))


def _draw(project: Any, catalog: Any, number: int, report: Any) -> None:
    from bootstrap.catalog import generations, tables
    from bootstrap.progress import Progress
    from bootstrap.shots import LoraUse, Shot

    _fail("draw", project.folder)
    count = 4
    with catalog.write() as session:
        row = generations.generation_row(session, project.name, number)
        have = {one.shot_id for one in session.query(tables.CandidateRow).filter_by(generation_id=row.id)}
        for seed in range(count):
            shot = Shot(
                "a, b", "", 100 * number + seed, 20, "DDIM", 3.0, 128, 128, "papertown", "0" * 64,
                (LoraUse("l", "t", 1, 0.6),), "vary",
            )  # fmt: skip
            if shot.id in have:
                continue
            path = f"generation-{number:02d}/candidates/{shot.id}.png"
            drawn = tables.CandidateRow(project_id=row.project_id, generation_id=row.id, shot_id=shot.id)
            drawn.shot, drawn.path, drawn.state = shot.to_dict(), path, "drawn"
            session.add(drawn)
    report(Progress("draw", count, count, "pictures", 50.0))


def _curate(project: Any, catalog: Any, number: int, report: Any) -> None:
    _fail("curate", project.folder)


def _publish(project: Any, catalog: Any, number: int) -> Path:
    from PIL import Image

    from bootstrap.catalog import generations, tables

    _fail("publish", project.folder)
    with catalog.write() as session:
        row = generations.generation_row(session, project.name, number)
        for candidate in session.query(tables.CandidateRow).filter_by(generation_id=row.id, state="drawn"):
            candidate.state = "published"
    sheet = project.generation_folder(number) / "contact-sheet.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (800, 600), "teal").save(sheet)
    return sheet


def _module(name: str, **functions: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(functions)
    sys.modules[name] = module


_module("bootstrap.training.run", train=_train)
_module("bootstrap.drawing.run", draw=_draw)
_module("bootstrap.curation.run", curate=_curate)
_module("bootstrap.curation.publishing", publish=_publish)
