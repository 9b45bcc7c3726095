"""The stage `judge` of Paper Town Two: measure with its tagger how well the base model follows its prompts."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import torch

from bootstrap.papertown.judging import NOBODY, SHORT, SHORT_TAGS, SHOWN, WHOLE, existing, share_seen
from bootstrap.papertown.sheets import save_captioned
from bootstrap.papertown.tagger import PapertownTagger, Reading
from bootstrap.papertown.tagger_making import accuracy
from bootstrap.papertown.two import data, world
from bootstrap.papertown.two.base import draw_prompts, load_pipeline


def judge_base_model(
    directory: Path, device: torch.device, minutes: float | None, samples: int | None = None
) -> None:
    """Draw with the finished base model and print which share of the prompted tags the tagger sees.

    `samples` is the number of whole captions to draw (WHOLE by default); `minutes` is ignored.

    Raises:
        UserError: the tagger or the base model is missing.
    """
    tagger = PapertownTagger.load(existing(directory / "tagger" / "tagger.safetensors", "tagger"))
    tagger.net.to(device)
    pipeline = load_pipeline(existing(directory / "base" / "model", "base")).to(device)
    scenes = [data.scene("captions", number) for number in range(samples or WHOLE)]
    tag_lists = [world.tags(scene) for scene in scenes]
    pictures = draw_prompts(pipeline, [", ".join(tags) for tags in tag_lists], seed=0)
    truth = [world.attributes(scene) for scene in scenes]
    accuracies = accuracy(tagger, pictures, truth)
    print(
        f"base: {len(scenes)} whole captions: macro accuracy {sum(accuracies.values()) / len(accuracies):.4f}"
    )
    print(f"base: {share_seen(tagger, pictures, tag_lists):.4f} of all prompted tags are seen")
    for name in sorted(accuracies, key=lambda name: accuracies[name]):
        print(f"base:   {name} {accuracies[name]:.3f}", flush=True)
    for value, share in shares_of_values(
        tagger.attributes(pictures), truth, ("framing", "view", "pose")
    ).items():
        print(f"base:   {value} {share:.3f}", flush=True)

    nobody = (data.scene("nobody", number) for number in range(NOBODY * 50))
    empty = [", ".join(world.tags(scene)) for scene in nobody if scene.figure is None][:NOBODY]
    readings = tagger.attributes(draw_prompts(pipeline, empty, seed=0))
    seen = sum(reading.attributes["figure"] == "nobody" for reading in readings)
    print(f"base: `no humans` shows nobody in {seen} of {len(empty)}", flush=True)

    short = _short_captions()
    pictures = draw_prompts(pipeline, [", ".join(tags) for tags in short], seed=0)
    share = share_seen(tagger, pictures, short)
    print(f"base: captions of {SHORT_TAGS} tags: {share:.4f} of the tags are seen", flush=True)

    captions = [", ".join(world.tags(data.scene("sheet", number))) for number in range(SHOWN)]
    save_captioned(draw_prompts(pipeline, captions, seed=1), captions, directory / "base" / "sheet.png")


def shares_of_values(
    readings: list[Reading], truth: list[dict[str, str]], names: tuple[str, ...]
) -> dict[str, float]:
    """Return for each value of these attributes the share of the pictures asked for it where it is read."""
    asked: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for reading, attributes in zip(readings, truth, strict=True):
        for name in names:
            if name in attributes:
                asked[attributes[name]] += 1
                seen[attributes[name]] += reading.attributes.get(name) == attributes[name]
    return {value: seen[value] / count for value, count in sorted(asked.items())}


def _short_captions() -> list[list[str]]:
    rng = random.Random("short captions")
    captions = []
    for number in range(SHORT):
        first, *rest = world.tags(data.scene("short", number))
        captions.append([first, *rng.sample(rest, min(SHORT_TAGS - 1, len(rest)))])
    return captions
