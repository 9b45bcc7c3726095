"""How fast is drawing? Ours against two loops over diffusers' own pipeline, the same 64 shots, in one run.

    python benchmarks/drawing.py --rounds 3

The shots are 4 strengths x 2 snapshots x 8 prompts. (a) ours: the drawing engine, with merged LoRAs, in batches;
(b) plain: one picture after another, with the LoRA as a live adapter and its strength set with `set_adapters`, as
in a script that follows diffusers' documentation; (c) best: with the LoRA fused, and the eight prompts of each
strength and snapshot as one batch, which is the fastest use of the pipeline. All three start with the base model in
memory, read the LoRA files from disk, and end with PNG files. They take turns, and ratios are computed round by round.
Prints a table and the share of our time that is spent in the UNet, and writes both to benchmarks/results/drawing.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

from bootstrap.catalog import Catalog
from bootstrap.drawing import engine, infotext, prompts
from bootstrap.drawing.candidate_drawing import drawn_with
from bootstrap.files import write_text
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.models import loading
from bootstrap.models.family import BaseModel
from bootstrap.planning.expand import lora_file_name
from bootstrap.project import editing, projects, running
from bootstrap.project.projects import Workspace
from bootstrap.shots import LoraUse, Shot

RESULTS = Path(__file__).parent / "results" / "drawing.md"
STRENGTHS = (0.4, 0.6, 0.8, 1.0)
SNAPSHOTS = (1, 2)
PLACES = ("teal wall, window", "red wall", "outdoors, beach", "outdoors, forest")
PROPS = ("holding red apple", "holding blue ball")
BATCH = 8
TRAINING = [
    "training.repeats=16",
    "training.epochs=2",
]  # a short training: what the LoRA learns does not matter here
RECIPES = """
[[recipe]]
kind = "vary"
snapshot = [1, 2]
"""


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, shots, loras = _prepared(folder)
        pipeline = _pipeline(base)
        ways: dict[str, Callable[[Path], None]] = {
            "ours": lambda out: _ours(base, shots, loras, out),
            "plain": lambda out: _plain(pipeline, shots, loras, out),
            "best": lambda out: _best(pipeline, shots, loras, out),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        shares = []
        for number in range(arguments.rounds):
            for way in list(ways)[:: 1 if number % 2 == 0 else -1]:
                out = folder / "out"
                out.mkdir()
                with _time_in_unet() as spent:
                    began = time.perf_counter()
                    ways[way](out)
                    seconds[way].append(time.perf_counter() - began)
                if len(list(out.glob("*.png"))) != len(shots):
                    raise RuntimeError(f"{way} drew {len(list(out.glob('*.png')))} of {len(shots)} pictures")
                if way == "ours":
                    shares.append(spent[0] / seconds[way][-1])
                shutil.rmtree(out)
                print(f"{way}: {seconds[way][-1]:.1f} s", flush=True)
    text = _table(seconds, shares, len(shots), arguments.rounds)
    print(text)
    write_text(RESULTS, text)


def _prepared(folder: Path) -> tuple[BaseModel, list[Shot], dict[LoraUse, Path]]:
    """Train a LoRA briefly; return the base model, the 64 shots, and the file of each LoRA that they use."""
    workspace = Workspace.locate(folder / "workspace")
    catalog = Catalog(workspace.catalog_url)
    originals = files("bootstrap") / "papertown" / "originals"
    with as_file(originals / "badge.png") as picture:
        caption = (originals / "badge.txt").read_text("utf-8").strip()
        made = projects.create(workspace, "badge", picture, caption, "papertown", RECIPES)
    editing.set_values(made, TRAINING)
    made = workspace.project(made.name)
    with running.exclusively(made):
        begun = generation.prepare(made, catalog)
        generation.train(begun)
    training = begun.training()
    assert training is not None
    base = loading.hold(made.base_model)
    common = drawn_with(begun, base, training)
    drawing = made.settings.drawing
    shots = [
        Shot(
            prompt=f"woman, bob cut blonde hair, blue blazer, smile, {prop}, {place}, id badge",
            negative_prompt="",
            seed=index,
            steps=drawing.steps,
            sampler="DPM++ 2M",
            schedule="Karras",
            cfg_scale=drawing.cfg_scale,
            width=common.width,
            height=common.height,
            base_model=common.base_model,
            base_model_hash=common.base_model_hash,
            loras=(
                LoraUse(lora_file_name(common.lora_name, snapshot), training.training_id, snapshot, strength),
            ),
        )
        for snapshot in SNAPSHOTS
        for strength in STRENGTHS
        for index, (prop, place) in enumerate((prop, place) for prop in PROPS for place in PLACES)
    ]
    paths = {snapshot.epoch: made.folder / snapshot.path for snapshot in training.snapshots}
    return base, shots, {shot.loras[0]: paths[shot.snapshot] for shot in shots}


def _ours(base: BaseModel, shots: list[Shot], loras: dict[LoraUse, Path], out: Path) -> None:
    files_read = {path: kohya.read(path) for path in set(loras.values())}
    hashes = {use.name: kohya.model_hash(path) for use, path in loras.items()}
    for batch in engine.draw_batches(
        base, shots, {use: files_read[path] for use, path in loras.items()}, BATCH
    ):
        for drawing in batch:
            text = infotext.write(drawing.shot, base.spec.title, hashes)
            infotext.save_png(drawing.picture, out / f"{drawing.shot.id}.png", drawing.shot, text)


def _pipeline(base: BaseModel) -> StableDiffusionPipeline:
    """Return diffusers' pipeline with the very modules that ours draws with, not copies."""
    pipeline = StableDiffusionPipeline(
        vae=base.vae,
        text_encoder=base.text_encoders[0],
        tokenizer=base.tokenizers[0],
        unet=base.denoiser,
        scheduler=DPMSolverMultistepScheduler.from_config(base.scheduler_config, use_karras_sigmas=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _plain(
    pipeline: StableDiffusionPipeline, shots: list[Shot], loras: dict[LoraUse, Path], out: Path
) -> None:
    names = {path: f"snapshot{number}" for number, path in enumerate(sorted(set(loras.values())))}
    for path, name in names.items():
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=name)
    for shot in shots:
        pipeline.set_adapters([names[loras[shot.loras[0]]]], [shot.strength])
        _draw_batch(pipeline, [shot], out)
    pipeline.unload_lora_weights()


def _best(
    pipeline: StableDiffusionPipeline, shots: list[Shot], loras: dict[LoraUse, Path], out: Path
) -> None:
    for use, path in loras.items():
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="snapshot")
        pipeline.fuse_lora(lora_scale=use.strength)
        _draw_batch(pipeline, [shot for shot in shots if shot.loras == (use,)], out)
        pipeline.unfuse_lora()
        pipeline.unload_lora_weights()


def _draw_batch(pipeline: StableDiffusionPipeline, shots: list[Shot], out: Path) -> None:
    first = shots[0]
    pictures = pipeline(
        [shot.prompt for shot in shots],
        height=first.height,
        width=first.width,
        num_inference_steps=first.steps,
        guidance_scale=first.cfg_scale,
        generator=[torch.Generator().manual_seed(shot.seed) for shot in shots],
    ).images
    for shot, picture in zip(shots, pictures, strict=True):
        picture.save(out / f"{shot.id}.png")


@contextmanager
def _time_in_unet() -> Iterator[list[float]]:
    """Yield a list whose only element is the sum of the seconds that our UNet predictions take."""
    spent, predict = [0.0], prompts.predict

    def timed(*arguments: Any) -> torch.Tensor:
        began = time.perf_counter()
        predicted = predict(*arguments)
        spent[0] += time.perf_counter() - began
        return predicted

    prompts.predict = timed
    try:
        yield spent
    finally:
        prompts.predict = predict


def _table(seconds: dict[str, list[float]], shares: list[float], count: int, rounds: int) -> str:
    lines = [
        "# Drawing: ours against diffusers' pipeline",
        "",
        f"`python benchmarks/drawing.py --rounds {rounds}`: {count} shots (4 strengths x 2 snapshots x 8 prompts) on "
        f"papertown; {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}",
        "",
        "| way | s, median | pictures/s | times slower than ours, round by round |",
        "|---|---|---|---|",
    ]
    for way, taken in seconds.items():
        ratios = [taken_here / ours for taken_here, ours in zip(taken, seconds["ours"], strict=True)]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        median = statistics.median(taken)
        lines.append(
            f"| {way} | {median:.1f} | {count / median:.2f} | **{statistics.median(ratios):.2f}** ({listed}) |"
        )
    lines += [
        "",
        f"Of our time, {100 * statistics.median(shares):.0f} % is spent in the UNet's predictions.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
