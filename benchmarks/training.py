"""How fast is training? Ours against diffusers' own pieces, on the same picture, each in a new process.

    python benchmarks/training.py --pairs 3
    python benchmarks/training.py --base sd15-random --resolution 256 --steps 4 --pairs 2

(a) is this project's training. (b) trains a LoRA as diffusers' public example scripts do
(examples/dreambooth/train_dreambooth_lora.py): live PEFT layers in UNet and text encoder, a DataLoader that opens,
scales and tokenizes the picture at each access, and the VAE and the text encoder running in each step. Both train
the same modules with the same rank, learning rates, batch size, steps and precision, and end with a LoRA file.

`sd15-random` is a model with Stable Diffusion 1.5's architecture and random weights; it is made on first use in the
folder --models, and takes 2 GB of disk. Wall time is that of the whole process, imports and loading included.
"Training" starts when the model is in memory. (a) and (b) take turns, and ratios are computed pair by pair. CPU
seconds (user and system, of all threads) are for machines that are busy with other work, where wall times mean
little. Prints a table and writes it to benchmarks/results/training.md.

On a GPU ours is measured without CUDA graphs too, memory is the GPU's, and the table has its own section.
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
PLAIN = "ours without graphs"
WAYS = ("ours", PLAIN, "script")


@dataclass(frozen=True)
class Run:
    """What one process measured."""

    way: str
    wall: float  # seconds of the whole process
    training: float  # seconds from the model in memory to the file on disk
    step: float  # seconds, median of all but the first two steps
    cpu: float  # CPU seconds of the whole process, user and system
    cpu_step: float  # CPU seconds, median of all but the first two steps
    memory: float  # peak memory, GiB: resident, or of tensors on the GPU
    reserved: float  # peak GPU memory reserved by torch, GiB; 0 on a CPU
    steps: int


def main() -> None:
    """Measure, print and write the table; with --way, run as one of the measured processes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", default="papertown", help="papertown or sd15-random")
    parser.add_argument("--steps", type=int, help="training steps, instead of the base model's default")
    parser.add_argument("--resolution", type=int, help="pixels, instead of the base model's default")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder for sd15-random")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        _measure(arguments)
        return
    if arguments.base == "sd15-random":
        _make_sd15(arguments.models / "sd15-random")
    pairs = [
        {way: _measure_in_process(arguments, way) for way in _ways_in_turn(number)}
        for number in range(arguments.pairs)
    ]
    table = _table(arguments, pairs, _share_of_limit(arguments, pairs))
    print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    earlier = (
        RESULTS.read_text().split("\n## ")
        if RESULTS.exists()
        else ["# Training: ours against diffusers' own pieces\n"]
    )
    title = table.split("\n")[0].removeprefix("## ")
    sections = [section for section in earlier[1:] if section.split("\n")[0] != title]
    sections = [section.rstrip() + "\n" for section in [*sections, table.removeprefix("## ")]]
    RESULTS.write_text("\n## ".join([earlier[0].rstrip() + "\n", *sections]))


def _ways_in_turn(number: int) -> tuple[str, ...]:
    ways = WAYS if _gpu() else tuple(way for way in WAYS if way != PLAIN)
    return ways if number % 2 == 0 else ways[::-1]


def _gpu() -> str:
    """Return the GPU's name, or an empty string without a GPU."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _now() -> tuple[float, float]:
    """Wait for the GPU, if any, to finish its queue; return wall and CPU seconds."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def _measure_in_process(arguments: argparse.Namespace, way: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        command = [sys.executable, __file__, "--way", way, "--out", str(out), "--base", arguments.base]
        command += ["--models", str(arguments.models)]
        for name in ("steps", "resolution"):
            if getattr(arguments, name):
                command += [f"--{name}", str(getattr(arguments, name))]
        environment = dict(os.environ)
        if (
            way == "script"
        ):  # the script imports bootstrap for its settings; that must not change how threads wait
            environment.setdefault("GOMP_SPINCOUNT", "300000")  # libgomp's default
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
    first, gpu = pairs[0]["ours"], _gpu()
    size = f" at {arguments.resolution} px" if arguments.resolution else ""
    others = [way for way in pairs[0] if way != "ours"]
    others.sort(key=WAYS.index)
    lines = [
        f"## {arguments.base}{size}{f' on {gpu}' if gpu else ''}, {first.steps} steps",
        "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"`{' '.join(['python', 'benchmarks/training.py', *sys.argv[1:]])}`",
        "",
        f"| | ours | {' | '.join(others)} | {' | '.join(f'{way} / ours, pair by pair' for way in others)} |",
        "|---|---|" + "---|---|" * len(others),
    ]
    rows = [
        ("wall", "s, whole process"),
        ("training", "s, model in memory to file"),
        ("step", "s a step, median"),
        ("cpu", "CPU s, whole process"),
        ("cpu_step", "CPU s a step, median"),
        ("memory", "GiB of the GPU in tensors, peak" if gpu else "GiB, peak"),
    ]
    for name, unit in [*rows, ("reserved", "GiB of the GPU taken, peak")] if gpu else rows:
        medians = {way: statistics.median(getattr(pair[way], name) for pair in pairs) for way in pairs[0]}
        cells = [f"{medians[way]:.3g}" for way in ("ours", *others)]
        for way in others:
            ratios = [getattr(pair[way], name) / getattr(pair["ours"], name) for pair in pairs]
            listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            cells.append(f"**{statistics.median(ratios):.2f}** ({listed})")
        lines.append(f"| {name.replace('_', ' ')}, {unit} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", share, ""])


def _settings(base: str, steps: int | None, resolution: int | None):
    """Return the training settings that all ways use."""
    from bootstrap.models import specs
    from bootstrap.project.settings import TrainingSection

    values = dict(specs.find(base).defaults.get("training", {}) if base in specs.embedded_names() else {})
    if steps:
        values |= {"max_train_steps": steps, "epochs": 1}
    if resolution:
        values["resolution"] = resolution
    return TrainingSection(**values)


def _spec(base: str, models: Path):
    from bootstrap.models import specs

    return specs.find(str(models / base) if base == "sd15-random" else base)


def _measure(arguments: argparse.Namespace) -> None:
    """Train in this process in the way of --way; write the measurements to --out."""
    import torch

    from bootstrap.training import trainer

    gpu = torch.cuda.is_available()
    settings = _settings(arguments.base, arguments.steps, arguments.resolution)
    spec = _spec(arguments.base, arguments.models)
    caption = ORIGINAL.with_suffix(".txt").read_text().strip()
    resolution = settings.resolution or 512
    with tempfile.TemporaryDirectory() as folder:
        if arguments.way != "script":
            with_graphs = arguments.way == "ours"
            training, step_times = _train_ours(spec, settings, caption, resolution, Path(folder), with_graphs)
        else:
            import training_script_way

            training, step_times = training_script_way.train(
                spec, settings, ORIGINAL, caption, resolution, Path(folder),
                trainer.precision_of(settings, torch.device("cuda" if gpu else "cpu")),
            )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_SELF)
    walls, cpus = zip(*(step_times[2:] if len(step_times) > 2 else step_times), strict=True)
    run = Run(
        way=arguments.way,
        wall=0.0,  # the parent process measures it
        training=training,
        step=statistics.median(walls),
        cpu=used.ru_utime + used.ru_stime,
        cpu_step=statistics.median(cpus),
        memory=(torch.cuda.max_memory_allocated() if gpu else used.ru_maxrss * 2**10) / 2**30,
        reserved=torch.cuda.max_memory_reserved() / 2**30 if gpu else 0.0,
        steps=len(step_times),
    )
    arguments.out.write_text(json.dumps(asdict(run)))


def _train_ours(spec, settings, caption: str, resolution: int, folder: Path, with_graphs: bool):
    """Train a LoRA; return the seconds of the training, and the wall and CPU seconds of each step."""
    import torch

    from bootstrap.files import sha256_of_file
    from bootstrap.lora import kohya
    from bootstrap.models import loading
    from bootstrap.training import trainer
    from bootstrap.training.identity import Example

    if not with_graphs:
        trainer.recorder_for = lambda *_: None
    base = loading.hold(spec)
    began = time.perf_counter()
    stamps: list[tuple[float, float]] = []
    size = (resolution, resolution)
    examples = [Example(str(ORIGINAL), sha256_of_file(ORIGINAL), caption, settings.repeats, size)]

    def write_lora(result: trainer.EpochResult) -> None:
        kohya.write(folder / f"{result.epoch}.safetensors", result.modules, {}, torch.float16)

    trainer.train(
        base,
        examples,
        settings,
        folder / "state",
        folder / "latents",
        write_lora,
        lambda _: stamps.append(_now()),
    )
    training = time.perf_counter() - began
    return training, [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(stamps)]


def _share_of_limit(arguments: argparse.Namespace, pairs: list[dict[str, Run]]) -> str:
    """Return a sentence on a step's FLOP/s as a share of what this machine's matrix products reach."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from bootstrap.models import conditioning, loading
    from bootstrap.prompting import encode
    from bootstrap.training import trainer
    from bootstrap.training.adapters import Size, injected

    settings = _settings(arguments.base, arguments.steps, arguments.resolution)
    base = loading.hold(_spec(arguments.base, arguments.models))
    side = (settings.resolution or 512) // base.latent_factor
    batch = settings.train_batch_size
    device = base.device
    latents = torch.randn(batch, base.geometry.latent_channels, side, side, device=device)
    with (
        injected(
            base,
            Size(settings.network_dim, settings.network_alpha),
            settings.text_encoder_lr > 0,
            0,
            half_precision=base.dtype is not torch.float32,
        ) as adapters,
        FlopCounterMode(display=False) as counter,
    ):
        adapters.fold()
        captions = encode.encode(base, ["a"] * batch)
        timesteps = torch.zeros(batch, dtype=torch.long, device=device)
        conditioning.predict(base, latents, timesteps, captions).mean().backward()
    flops = counter.get_total_flops()
    dtype = trainer.precision_of(settings, device)
    rate = _matmul_rate(device, dtype)
    step = statistics.median(pair["ours"].step for pair in pairs)
    device_name = _gpu() or f"{torch.get_num_threads()} threads"
    return (
        f"A step of ours has {flops / 1e9:.1f} GFLOP (forward and backward, counted by torch); this machine's "
        f"{str(dtype).removeprefix('torch.')} matrix products reach {rate / 1e9:.0f} GFLOP/s with {device_name}: "
        f"**{flops / step / rate:.0%}** of the limit."
    )


def _matmul_rate(device, dtype) -> float:
    """Return the FLOP/s of matrix products, the best of 8."""
    import torch

    size = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(8):
        began, _ = _now()
        left @ right
        times.append(_now()[0] - began)
    return 2 * size**3 / min(times)


def _make_sd15(folder: Path) -> None:
    """Write a model with Stable Diffusion 1.5's architecture and random weights as a diffusers folder, in float16."""
    if (folder / "model_index.json").exists():
        return
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from bootstrap.models.families.stable_diffusion import CONFIGS

    configs = CONFIGS / "sd15"
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(configs / "vae")).half()
        text_encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder")).half()
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configs / "unet")).half()
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(configs / "tokenizer"),
        unet=unet,
        scheduler=DDIMScheduler.from_config(DDIMScheduler.load_config(configs / "scheduler")),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


if __name__ == "__main__":
    main()
