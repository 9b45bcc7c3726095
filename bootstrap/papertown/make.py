"""Make Paper Town's models, stage by stage: `sid papertown make --stage vae --minutes 60`.

The order of the stages is `data`, `vae`, `base`, then `ink`, `tagger` and `judge`. Each stage resumes from its
last checkpoint, so that a training can be split over several runs. No stage writes into the package; all results
lie in one folder, by default `DIRECTORY`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.papertown import base, data, judging, tagger_making, vae

DIRECTORY = Path.home() / ".cache" / "sid" / "papertown-making"
TRAIN_SCENES = 25_000
ACCENT_SHARE = 0.4  # scenes with accents, for the VAE and the tagger, per training scene without


def run_stage(
    stage: str,
    directory: Path = DIRECTORY,
    minutes: float | None = None,
    samples: int | None = None,
    start: Path | None = None,
    compiled: bool = False,
) -> None:
    """Run `stage` (one of `STAGES`) for at most `minutes`, or until it is finished.

    The stage runs on a GPU if there is one. The process id is written to `directory`/`stage`.pid.

    Args:
        stage: the name of the stage.
        directory: where every stage reads and writes its files.
        minutes: the time limit of this run; None for no limit.
        samples: the number of samples of the stage's whole training, over all of its runs, instead of the
            default.
        start: the folder of a model whose weights `vae`, `base` or `ink` start from. By default `vae` and `base`
            start from random weights, and `ink` from the result of `base`.
        compiled: whether `base` and `ink` compile their networks first, which needs a C++ compiler.

    Raises:
        UserError: a file that the stage needs is missing, or the stage cannot start from another model's weights
            or cannot be compiled.
    """
    if start is not None and stage not in STARTABLE:
        raise UserError(
            f"--start {start}: only the stages {', '.join(STARTABLE)} can start from a model's weights"
        )
    if compiled and stage not in COMPILABLE:
        raise UserError(f"--compile: only the stages {' and '.join(COMPILABLE)} can be compiled")
    write_text(directory / f"{stage}.pid", f"{os.getpid()}\n")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    options = ({"start": start} if start else {}) | ({"compiled": True} if compiled else {})
    STAGES[stage](directory, device, minutes, samples, **options)


def _render_data(directory: Path, device: torch.device, minutes: float | None, samples: int | None) -> None:
    scenes = samples or TRAIN_SCENES
    data.render_split(directory / "data", "train", scenes)
    data.render_split(directory / "data", "accents", round(ACCENT_SHARE * scenes))


STARTABLE = ("vae", "base", "ink")
COMPILABLE = ("base", "ink")
STAGES: dict[str, Callable[..., None]] = {
    "data": _render_data,
    "vae": vae.train_vae,
    "base": partial(base.train_base_model, "base"),
    "ink": partial(base.train_base_model, "ink"),
    "tagger": tagger_making.train_tagger,
    "judge": judging.judge_base_models,
}
