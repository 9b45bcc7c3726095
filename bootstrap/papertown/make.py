"""Making Paper Town's models, stage by stage: `sid papertown make --stage vae --minutes 60`.

The stages follow each other: `data`, `vae`, `base`, then `ink`, `tagger` and `judge`. Each goes on from its
last checkpoint, so that it can be trained over several sittings; none of them writes into the package. What
is made lies in one folder, `DIRECTORY` unless another is named.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bootstrap.errors import UserError
from bootstrap.papertown import base, data, judging, tagger_making, vae

DIRECTORY = Path.home() / ".cache" / "sid" / "papertown-making"
TRAIN_SCENES = 25_000
ACCENT_SHARE = 0.4  # for each of them so many more with accents, for the VAE and the tagger


def make(
    stage: str,
    directory: Path = DIRECTORY,
    minutes: float | None = None,
    samples: int | None = None,
    start: Path | None = None,
    compiled: bool = False,
) -> None:
    """Run `stage` (one of `STAGES`) for at most `minutes`, or until it is finished.

    `samples` is how long the whole training of the stage is, over all its sittings, where the built-in length
    does not suit. Trains on a GPU where there is one. The process id is kept in `directory`/`stage`.pid.
    `start` is the folder of a model whose weights `vae`, `base` or `ink` begin with; without it the first two
    begin anew, and `ink` with what `base` has made.
    `compiled` makes `base` and `ink` compile their networks first, which needs a C++ compiler.

    Raises:
        UserError: what the stage needs is missing, or it cannot begin with another model's weights or be
            compiled.
    """
    if start is not None and stage not in STARTABLE:
        raise UserError(
            f"--start {start}: only the stages {', '.join(STARTABLE)} can begin with a model's weights"
        )
    if compiled and stage not in COMPILABLE:
        raise UserError(f"--compile: only the stages {' and '.join(COMPILABLE)} can be compiled")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{stage}.pid").write_text(f"{os.getpid()}\n")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    settings = ({"start": start} if start else {}) | ({"compiled": True} if compiled else {})
    STAGES[stage](directory, device, minutes, samples, **settings)


def _data(directory: Path, device: torch.device, minutes: float | None, samples: int | None) -> None:
    scenes = samples or TRAIN_SCENES
    data.render_split(directory / "data", "train", scenes)
    data.render_split(directory / "data", "accents", round(ACCENT_SHARE * scenes))


STARTABLE = ("vae", "base", "ink")
COMPILABLE = ("base", "ink")
STAGES: dict[str, Callable[..., None]] = {
    "data": _data,
    "vae": vae.train,
    "base": partial(base.train, "base"),
    "ink": partial(base.train, "ink"),
    "tagger": tagger_making.train,
    "judge": judging.judge,
}
