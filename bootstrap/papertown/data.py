"""The pictures and captions that Paper Town's models are trained on.

A scene is identified by its split and its number and follows from these alone. `train` has no accents, `accents`
has one in every picture (for the tagger), `held-out` and `held-out accents` are for evaluation. Captions are
regenerated from the scenes whenever they are needed, which costs almost nothing. Pictures are rendered once, in
shards of `SHARD` scenes, so that a killed run loses one shard at most.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import torch

from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.papertown import world
from bootstrap.papertown.things import ACCENTS

SIZE = 128
SHARD = 2500


def scene(split: str, number: int) -> world.Scene:
    """Return scene `number` of `split`; a split named `...accents` cycles through the accents."""
    accent = list(ACCENTS)[number % len(ACCENTS)] if split.endswith("accents") else None
    return world.sample(random.Random(f"paper town/{split}/{number}"), accent)


def picture(split: str, number: int) -> np.ndarray:
    """Render the picture of a scene: (SIZE, SIZE, 3), uint8, RGB."""
    return np.asarray(world.render(scene(split, number), SIZE))


def tag_lists(split: str, count: int) -> list[list[str]]:
    """Return the tags of the first `count` scenes of `split`, in the order of captions."""
    return [world.tags(scene(split, number)) for number in range(count)]


def render_split(
    directory: Path,
    split: str,
    count: int,
    draw: Callable[[str, int], np.ndarray] = picture,
    processes: int | None = None,
) -> None:
    """Render the first `count` scenes of `split` (rounded up to whole shards) into `directory`.

    Shards that already exist are not rendered again.

    Args:
        draw: draws a scene's picture, given split and number.
        processes: how many processes draw at a time; None: one for each core.
    """
    with ProcessPoolExecutor(processes or cpu_count()) as pool:
        for shard in range(-(-count // SHARD)):
            path = _shard_path(directory, split, shard)
            if path.exists():
                continue
            numbers = range(shard * SHARD, (shard + 1) * SHARD)
            pictures = np.stack(list(pool.map(draw, [split] * SHARD, numbers, chunksize=50)))
            with whole_file(path) as unfinished:
                np.save(unfinished, pictures)
            print(f"{split}: {numbers.stop} of {count} scenes rendered", flush=True)


class Pictures:
    """The rendered pictures of one or more splits, concatenated; each batch is read from disk on demand."""

    def __init__(self, directory: Path, *splits: str) -> None:
        self._shards: list[np.ndarray] = []
        for split in splits:
            paths = (_shard_path(directory, split, number) for number in itertools.count())
            existing_paths = list(itertools.takewhile(Path.exists, paths))
            if not existing_paths:
                raise UserError(f"{directory} has no pictures of {split!r}: run the stage `data` first")
            self._shards += [np.load(path, mmap_mode="r") for path in existing_paths]

    def __len__(self) -> int:
        return SHARD * len(self._shards)

    def batch(self, numbers: np.ndarray | list[int] | range) -> torch.Tensor:
        """Return the pictures with these numbers: (n, 3, SIZE, SIZE), uint8."""
        rows = np.stack([self._shards[number // SHARD][number % SHARD] for number in numbers])
        return torch.from_numpy(rows).permute(0, 3, 1, 2)


def held_out(count: int, accents: bool = False) -> torch.Tensor:
    """Render the first `count` held-out pictures: (count, 3, SIZE, SIZE), uint8."""
    split = "held-out accents" if accents else "held-out"
    rows = np.stack([picture(split, number) for number in range(count)])
    return torch.from_numpy(rows).permute(0, 3, 1, 2)


def on_device(rows: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return `rows` on `device`; the copy does not wait for work that the device has still queued."""
    on_cpu = torch.as_tensor(rows)
    return on_cpu.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else on_cpu


def to_model(pictures: torch.Tensor) -> torch.Tensor:
    """Convert uint8 pictures to the VAE's input: float32 in -1..1, channels last."""
    return pictures.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def to_pixels(images: torch.Tensor) -> torch.Tensor:
    """Convert the VAE's output, float in -1..1, to uint8 pictures."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def _shard_path(directory: Path, split: str, shard: int) -> Path:
    return directory / f"{split.replace(' ', '-')}-{shard:03d}.npy"
