"""The stage `judge`: measure with Paper Town's tagger how well the base models follow their prompts."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from bootstrap.errors import UserError
from bootstrap.papertown import data, world
from bootstrap.papertown.base import draw_prompts, load_pipeline
from bootstrap.papertown.sheets import save_captioned
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.papertown.tagger_making import accuracy

WHOLE, NOBODY, SHORT, SHOWN = 500, 50, 100, 32  # captions of each kind; SHOWN is those on the sheet
SHORT_TAGS = 3


def judge_base_models(
    directory: Path, device: torch.device, minutes: float | None, samples: int | None = None
) -> None:
    """Draw with the finished base models and print which share of the prompted tags the tagger sees.

    `samples` is the number of whole captions to draw (WHOLE by default); `minutes` is ignored.

    Raises:
        UserError: the tagger or the base model is missing.
    """
    tagger = PapertownTagger.load(existing(directory / "tagger" / "tagger.safetensors", "tagger"))
    tagger.net.to(device)
    for stage in ("base", "ink"):
        folder = directory / stage / "model"
        if stage == "ink" and not folder.exists():
            continue
        pipeline = load_pipeline(existing(folder, stage)).to(device)
        scenes = [data.scene("captions", number) for number in range(samples or WHOLE)]
        _judge_whole(stage, pipeline, tagger, scenes)
        _judge_nobody(stage, pipeline, tagger)
        _judge_short(stage, pipeline, tagger)
        captions = [", ".join(world.tags(data.scene("sheet", number))) for number in range(SHOWN)]
        pictures = draw_prompts(pipeline, captions, seed=1)
        save_captioned(pictures, captions, directory / stage / "sheet.png")


def _judge_whole(
    stage: str, pipeline: StableDiffusionPipeline, tagger: PapertownTagger, scenes: list[world.Scene]
) -> None:
    pictures = draw_prompts(pipeline, [", ".join(world.tags(scene)) for scene in scenes], seed=0)
    accuracies = accuracy(tagger, pictures, [world.attributes(scene) for scene in scenes])
    macro = sum(accuracies.values()) / len(accuracies)
    tag_lists = [world.tags(scene) for scene in scenes]
    print(f"{stage}: {len(scenes)} whole captions: macro accuracy {macro:.4f}")
    print(f"{stage}: {share_seen(tagger, pictures, tag_lists):.4f} of all prompted tags are seen")
    for name in sorted(accuracies, key=lambda name: accuracies[name]):
        print(f"{stage}:   {name} {accuracies[name]:.3f}", flush=True)


def _judge_nobody(stage: str, pipeline: StableDiffusionPipeline, tagger: PapertownTagger) -> None:
    scenes = (data.scene("nobody", number) for number in range(NOBODY * 30))
    captions = [", ".join(world.tags(scene)) for scene in scenes if scene.figure is None][:NOBODY]
    readings = tagger.attributes(draw_prompts(pipeline, captions, seed=0))
    empty = sum(reading.attributes["figure"] == "nobody" for reading in readings)
    print(f"{stage}: `no humans` shows nobody in {empty} of {len(captions)}", flush=True)


def _judge_short(stage: str, pipeline: StableDiffusionPipeline, tagger: PapertownTagger) -> None:
    rng = random.Random("short captions")
    tag_lists = []
    for number in range(SHORT):
        first, *rest = world.tags(data.scene("short", number))
        tag_lists.append([first, *rng.sample(rest, min(SHORT_TAGS - 1, len(rest)))])
    pictures = draw_prompts(pipeline, [", ".join(tags) for tags in tag_lists], seed=0)
    share = share_seen(tagger, pictures, tag_lists)
    print(f"{stage}: captions of {SHORT_TAGS} tags: {share:.4f} of the tags are seen", flush=True)


def share_seen(tagger: PapertownTagger, pictures: Tensor, tag_lists: list[list[str]]) -> float:
    """Return the share of all tags in `tag_lists` that the tagger sees in the picture drawn from them."""
    seen = [
        tag in {score.tag for score in scores}
        for tags, scores in zip(tag_lists, tagger.read_tensor(pictures), strict=True)
        for tag in tags
    ]
    return sum(seen) / len(seen)


def existing(path: Path, stage: str) -> Path:
    """Return `path`, a result of `stage`. Raises UserError if it is missing."""
    if not path.exists():
        raise UserError(f"{path} is missing: run the stage `{stage}` first")
    return path
