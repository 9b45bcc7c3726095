"""Make the models of Paper Town Two, stage by stage: `sid papertown make --world two --stage base --minutes 60`.

The order of the stages is `data`, `vae`, `base`, then `tagger` and `judge`. As in the first world, each stage resumes
from its last checkpoint, and all results lie in one folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.papertown.data import render_split
from bootstrap.papertown.two import base, data, judging, tagger_making, vae

DIRECTORY = Path.home() / ".cache" / "sid" / "papertown-two-making"
TRAIN_SCENES = 30_000
ACCENT_SHARE = 0.25  # scenes with accents, for the VAE and the tagger, per training scene without


def run_stage(
    stage: str,
    directory: Path = DIRECTORY,
    minutes: float | None = None,
    samples: int | None = None,
    compiled: bool = False,
) -> None:
    """Run `stage` (one of `STAGES`) for at most `minutes`, or until it is finished.

    The stage runs on a GPU if there is one. The process id is written to `directory`/`stage`.pid.

    Args:
        stage: the name of the stage.
        directory: where every stage reads and writes its files.
        minutes: the time limit of this run; None for no limit.
        samples: the number of samples of the stage's whole training, over all of its runs, instead of the default.
        compiled: whether `base` compiles its transformer first, which needs a C++ compiler.

    Raises:
        UserError: a file that the stage needs is missing, or the stage cannot be compiled.
    """
    if compiled and stage != "base":
        raise UserError("--compile: only the stage base can be compiled")
    write_text(directory / f"{stage}.pid", f"{os.getpid()}\n")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    STAGES[stage](directory, device, minutes, samples, **({"compiled": True} if compiled else {}))


def _render_data(directory: Path, device: torch.device, minutes: float | None, samples: int | None) -> None:
    scenes = samples or TRAIN_SCENES
    render_split(directory / "data", "train", scenes, data.picture)
    render_split(directory / "data", "accents", round(ACCENT_SHARE * scenes), data.picture)


STAGES: dict[str, Callable[..., None]] = {
    "data": _render_data,
    "vae": vae.train_vae,
    "base": base.train_base_model,
    "tagger": tagger_making.train_tagger,
    "judge": judging.judge_base_model,
}
