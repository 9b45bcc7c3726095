"""The stage `judge`: how well a base model follows its tags, as Paper Town's tagger sees it."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from bootstrap.errors import UserError
from bootstrap.papertown import data, world
from bootstrap.papertown.base import draw, opened
from bootstrap.papertown.sheets import save_captioned
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.papertown.tagger_making import accuracy

WHOLE, NOBODY, SHORT, SHOWN = 500, 50, 100, 32
SHORT_TAGS = 3


def judge(directory: Path, device: torch.device, minutes: float | None, samples: int | None = None) -> None:
    """Draw with the finished base models and print how much of what was asked for is seen.

    `samples` is how many whole captions are drawn (WHOLE by default); `minutes` has no meaning here.
    """
    tagger = PapertownTagger.load(_made(directory / "tagger" / "tagger.safetensors", "tagger"))
    tagger.net.to(device)
    for stage in ("base", "ink"):
        folder = directory / stage / "model"
        if stage == "ink" and not folder.exists():
            continue
        pipeline = opened(_made(folder, stage)).to(device)
        scenes = [data.scene("captions", number) for number in range(samples or WHOLE)]
        _judge_whole(stage, pipeline, tagger, scenes)
        _judge_nobody(stage, pipeline, tagger)
        _judge_short(stage, pipeline, tagger)
        shown = [", ".join(world.tags(data.scene("sheet", number))) for number in range(SHOWN)]
        save_captioned(draw(pipeline, shown, seed=1), shown, directory / stage / "sheet.png")


def _judge_whole(
    stage: str, pipeline: StableDiffusionPipeline, tagger: PapertownTagger, scenes: list[world.Scene]
) -> None:
    pictures = draw(pipeline, [", ".join(world.tags(scene)) for scene in scenes], seed=0)
    right = accuracy(tagger, pictures, [world.attributes(scene) for scene in scenes])
    read = tagger.read_tensor(pictures)
    asked = [
        (tag, {s.tag for s in seen})
        for scene, seen in zip(scenes, read, strict=True)
        for tag in world.tags(scene)
    ]
    followed = sum(tag in seen for tag, seen in asked) / len(asked)
    print(f"{stage}: {len(scenes)} whole captions: macro accuracy {sum(right.values()) / len(right):.4f}")
    print(f"{stage}: {followed:.4f} of all tags asked for are seen")
    for name in sorted(right, key=lambda name: right[name]):
        print(f"{stage}:   {name} {right[name]:.3f}", flush=True)


def _judge_nobody(stage: str, pipeline: StableDiffusionPipeline, tagger: PapertownTagger) -> None:
    scenes = (data.scene("nobody", number) for number in range(NOBODY * 30))
    captions = [", ".join(world.tags(scene)) for scene in scenes if scene.figure is None][:NOBODY]
    read = tagger.attributes(draw(pipeline, captions, seed=0))
    empty = sum(reading.attributes["figure"] == "nobody" for reading in read)
    print(f"{stage}: `no humans` shows nobody in {empty} of {len(captions)}", flush=True)


def _judge_short(stage: str, pipeline: StableDiffusionPipeline, tagger: PapertownTagger) -> None:
    rng = random.Random("short captions")
    asked = []
    for number in range(SHORT):
        first, *rest = world.tags(data.scene("short", number))
        asked.append([first, *rng.sample(rest, min(SHORT_TAGS - 1, len(rest)))])
    read = tagger.read_tensor(draw(pipeline, [", ".join(tags) for tags in asked], seed=0))
    seen = [tag in {s.tag for s in scores} for tags, scores in zip(asked, read, strict=True) for tag in tags]
    print(
        f"{stage}: captions of {SHORT_TAGS} tags: {sum(seen) / len(seen):.4f} of the tags are seen",
        flush=True,
    )


def _made(path: Path, stage: str) -> Path:
    if not path.exists():
        raise UserError(f"{path} is missing: run the stage `{stage}` first")
    return path
