"""How fast is training? Ours against diffusers' own pieces, on the same picture, in processes of their own.

    python benchmarks/training.py --pairs 3
    python benchmarks/training.py --base sd15-random --resolution 256 --steps 4 --pairs 2

(a) is this project's training; (b) is written as diffusers' public example scripts train a LoRA
(examples/dreambooth/train_dreambooth_lora.py): live PEFT layers in UNet and text encoder, a DataLoader that
opens, scales and tokenizes the picture anew, and the VAE and the text encoder run in each step. Both train the
same modules with the same rank, learning rates, batch size, steps and precision, and end with a LoRA file.

`sd15-random` is a model of Stable Diffusion 1.5's shape with random weights; it is made on first use, takes
2 GB of disk, and is kept in --models. Wall time is that of the whole process, imports and loading included.
"Training" begins when the model is in memory. Pairs take turns, and ratios are made pair by pair. CPU seconds
(user and system, of all threads) are there for machines that are busy with other work, on which wall times mean
little. Prints a table and writes it to benchmarks/results/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "training.md"
ORIGINAL = Path(__file__).parent.parent / "bootstrap" / "papertown" / "originals" / "badge.png"
MODELS = Path.home() / ".cache" / "sid" / "benchmark-models"
WAYS = ("ours", "script")


@dataclass(frozen=True)
class Run:
    """What one process measured."""

    way: str
    wall: float  # seconds of the whole process
    training: float  # seconds from the model in memory to the file on disk
    step: float  # seconds, median of all but the first two steps
    cpu: float  # CPU seconds of the whole process, user and system
    cpu_step: float  # CPU seconds, median of all but the first two steps
    memory: float  # peak resident memory, GiB
    steps: int


def main() -> None:
    """Measure, print and write the table; or, with --way, be one of the measured processes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", default="papertown", help="papertown or sd15-random")
    parser.add_argument("--steps", type=int, help="instead of the base model's own number")
    parser.add_argument("--resolution", type=int, help="pixels, instead of the base model's own")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--models", type=Path, default=MODELS, help="where sd15-random is kept")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        _measure(arguments)
        return
    if arguments.base == "sd15-random":
        _make_sd15(arguments.models / "sd15-random")
    pairs = [{way: _run(arguments, way) for way in _turns(number)} for number in range(arguments.pairs)]
    table = _table(arguments, pairs, _share_of_limit(arguments, pairs))
    print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    kept = (
        RESULTS.read_text().split("\n## ")
        if RESULTS.exists()
        else ["# Training: ours against diffusers' own pieces\n"]
    )
    title = table.split("\n")[0].removeprefix("## ")
    sections = [part for part in kept[1:] if part.split("\n")[0] != title] + [table.removeprefix("## ")]
    RESULTS.write_text("\n## ".join([kept[0].rstrip() + "\n", *(part.rstrip() + "\n" for part in sections)]))


def _turns(number: int) -> tuple[str, ...]:
    return WAYS if number % 2 == 0 else WAYS[::-1]


def _run(arguments: argparse.Namespace, way: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        command = [sys.executable, __file__, "--way", way, "--out", str(out), "--base", arguments.base]
        command += ["--models", str(arguments.models)]
        for name in ("steps", "resolution"):
            if getattr(arguments, name):
                command += [f"--{name}", str(getattr(arguments, name))]
        environment = dict(os.environ)
        if way == "script":  # bootstrap, which it imports for its settings, must not change how threads wait
            environment.setdefault("GOMP_SPINCOUNT", "300000")  # what libgomp does by itself
        began = time.perf_counter()
        subprocess.run(command, check=True, cwd=Path(__file__).parent.parent, env=environment)
        wall = time.perf_counter() - began
        run = Run(**{**json.loads(out.read_text()), "wall": wall})
    print(
        f"{way}: {run.wall:.1f} s, training {run.training:.1f} s, {1 / run.step:.2f} steps/s, {run.memory:.2f} GiB",
        flush=True,
    )
    return run


def _table(arguments: argparse.Namespace, pairs: list[dict[str, Run]], share: str) -> str:
    first = pairs[0]["ours"]
    size = f" at {arguments.resolution} px" if arguments.resolution else ""
    lines = [
        f"## {arguments.base}{size}, {first.steps} steps",
        "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"`{' '.join(['python', 'benchmarks/training.py', *sys.argv[1:]])}`",
        "",
        "| | ours | script | script / ours, pair by pair |",
        "|---|---|---|---|",
    ]
    for name, unit in (
        ("wall", "s, whole process"),
        ("training", "s, model in memory to file"),
        ("step", "s a step, median"),
        ("cpu", "CPU s, whole process"),
        ("cpu_step", "CPU s a step, median"),
        ("memory", "GiB, peak"),
    ):
        values = {way: [getattr(pair[way], name) for pair in pairs] for way in WAYS}
        ratios = [pair["script"].__dict__[name] / pair["ours"].__dict__[name] for pair in pairs]
        middle = {way: statistics.median(values[way]) for way in WAYS}
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(
            f"| {name.replace('_', ' ')}, {unit} | {middle['ours']:.3g} | {middle['script']:.3g} | "
            f"**{statistics.median(ratios):.2f}** ({listed}) |"
        )
    return "\n".join([*lines, "", share, ""])


def _settings(base: str, steps: int | None, resolution: int | None):
    """The training settings that both ways use."""
    from bootstrap.base_model_spec import EMBEDDED_DEFAULTS
    from bootstrap.settings import TrainingSection

    values = dict(EMBEDDED_DEFAULTS.get(base, {}).get("training", {}))
    if steps:
        values |= {"max_train_steps": steps, "epochs": 1}
    if resolution:
        values["resolution"] = resolution
    return TrainingSection(**values)


def _spec(base: str, models: Path):
    from bootstrap import base_model_spec

    return base_model_spec.find(str(models / base) if base == "sd15-random" else base)


def _measure(arguments: argparse.Namespace) -> None:
    """Train in this process, the one way or the other, and write what was measured."""
    settings = _settings(arguments.base, arguments.steps, arguments.resolution)
    spec = _spec(arguments.base, arguments.models)
    caption = ORIGINAL.with_suffix(".txt").read_text().strip()
    resolution = settings.resolution or 512
    with tempfile.TemporaryDirectory() as folder:
        if arguments.way == "ours":
            training, times = _train_ours(spec, settings, caption, resolution, Path(folder))
        else:
            import training_script_way

            training, times = training_script_way.train(
                spec, settings, ORIGINAL, caption, resolution, Path(folder)
            )
    used = resource.getrusage(resource.RUSAGE_SELF)
    walls, cpus = zip(*(times[2:] if len(times) > 2 else times), strict=True)
    run = Run(
        way=arguments.way,
        wall=0.0,  # measured from outside
        training=training,
        step=statistics.median(walls),
        cpu=used.ru_utime + used.ru_stime,
        cpu_step=statistics.median(cpus),
        memory=used.ru_maxrss / 2**20,
        steps=len(times),
    )
    arguments.out.write_text(json.dumps(asdict(run)))


def _train_ours(spec, settings, caption: str, resolution: int, folder: Path):
    """Seconds of the training, and of each step wall and CPU seconds."""
    import torch

    from bootstrap import base_model
    from bootstrap.files import sha256_of_file
    from bootstrap.lora import kohya
    from bootstrap.training import trainer
    from bootstrap.training.identity import Example

    base = base_model.hold(spec)
    began = time.perf_counter()
    stamps: list[tuple[float, float]] = []
    size = (resolution, resolution)
    shown = [Example(str(ORIGINAL), sha256_of_file(ORIGINAL), caption, settings.repeats, size)]

    def keep(result: trainer.EpochResult) -> None:
        kohya.write(folder / f"{result.epoch}.safetensors", result.modules, {}, torch.float16)

    trainer.train(
        base,
        shown,
        settings,
        folder / "state",
        folder / "latents",
        keep,
        lambda _: stamps.append((time.perf_counter(), time.process_time())),
    )
    training = time.perf_counter() - began
    return training, [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(stamps)]


def _share_of_limit(arguments: argparse.Namespace, pairs: list[dict[str, Run]]) -> str:
    """The floating point operations of a step, counted, over what this machine's matrix products reach."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from bootstrap import base_model, conditioning
    from bootstrap.prompting import encode
    from bootstrap.training.adapters import Size, injected

    settings = _settings(arguments.base, arguments.steps, arguments.resolution)
    base = base_model.hold(_spec(arguments.base, arguments.models))
    side = (settings.resolution or 512) // base.vae_factor
    batch = settings.train_batch_size
    latents = torch.randn(batch, base.unet.config["in_channels"], side, side)
    with (
        injected(
            base, Size(settings.network_dim, settings.network_alpha), settings.text_encoder_lr > 0, 0
        ) as adapters,
        FlopCounterMode(display=False) as counter,
    ):
        adapters.fold()
        captions = encode.encode(base, ["a"] * batch)
        conditioning.predict(base, latents, torch.zeros(batch).long(), captions).mean().backward()
    flops = counter.get_total_flops()
    rate = _matmul_rate()
    step = statistics.median(pair["ours"].step for pair in pairs)
    return (
        f"A step of ours has {flops / 1e9:.1f} GFLOP (forward and backward, counted by torch); this machine's fp32 "
        f"matrix products reach {rate / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads: "
        f"**{flops / step / rate:.0%}** of the limit."
    )


def _matmul_rate(size: int = 2048) -> float:
    """FLOP a second of fp32 matrix products, the best of 8."""
    import torch

    one, other = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        one @ other
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)


def _make_sd15(folder: Path) -> None:
    """Write a model of Stable Diffusion 1.5's shape with random weights as a diffusers folder, in float16."""
    if (folder / "model_index.json").exists():
        return
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from bootstrap.base_model import CONFIGS

    configs = CONFIGS / "sd15"
    torch.manual_seed(0)
    StableDiffusionPipeline(
        vae=AutoencoderKL.from_config(AutoencoderKL.load_config(configs / "vae")).half(),
        text_encoder=CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder")).half(),
        tokenizer=CLIPTokenizer.from_pretrained(configs / "tokenizer"),
        unet=UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configs / "unet")).half(),
        scheduler=DDIMScheduler.from_config(DDIMScheduler.load_config(configs / "scheduler")),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


if __name__ == "__main__":
    main()
