"""The scenes, pictures and captions that the models of Paper Town Two are trained on; see `papertown.data`."""

from __future__ import annotations

import random

import numpy as np
import torch

from bootstrap.papertown.data import SIZE
from bootstrap.papertown.two import rendering, world
from bootstrap.papertown.two.accents import ACCENTS


def scene(split: str, number: int) -> world.Scene:
    """Return scene `number` of `split`; a split named `...accents` cycles through the accents."""
    accent = list(ACCENTS)[number % len(ACCENTS)] if split.endswith("accents") else None
    return world.sample(random.Random(f"paper town two/{split}/{number}"), accent)


def picture(split: str, number: int) -> np.ndarray:
    """Render the picture of a scene: (SIZE, SIZE, 3), uint8, RGB."""
    return np.asarray(rendering.render(scene(split, number), SIZE))


def tag_lists(split: str, count: int) -> list[list[str]]:
    """Return the tags of the first `count` scenes of `split`, in the order of captions."""
    return [world.tags(scene(split, number)) for number in range(count)]


def held_out(count: int, accents: bool = False) -> torch.Tensor:
    """Render the first `count` held-out pictures: (count, 3, SIZE, SIZE), uint8."""
    split = "held-out accents" if accents else "held-out"
    rows = np.stack([picture(split, number) for number in range(count)])
    return torch.from_numpy(rows).permute(0, 3, 1, 2)
