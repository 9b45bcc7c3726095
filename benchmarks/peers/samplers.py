"""Are sigmas and steps those of the k-diffusion package? Every sampler with every schedule, against the package itself.

    python benchmarks/peers/samplers.py

The package and what it needs are installed into an environment of their own, in a temporary folder that is removed at
the end; torch and sid are those of the environment that runs this. Three noise processes (Stable Diffusion 1.5, XL, and
a v-prediction model with zero terminal SNR), each at 4, 10, 20 and 33 steps, two rows of latents, an analytic denoiser.
Sigmas are compared for the schedules that the package has; results for all, on the same sigmas. Prints a table, and
writes it to benchmarks/results/samplers.md, all figures to samplers.json.

DDIM without noise of its own is Euler's method in sigma, so it is compared with that. UniPC is not in the package; LCM
is A1111's own.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import sysconfig
import tempfile
import types
import venv
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PINNED = ("k-diffusion==0.1.1.post1", "torchdiffeq==0.2.5")
STEPS = (4, 10, 20, 33)
SEEDS = (5, 6)
PLAIN = {
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "SD1.5": PLAIN | {"steps_offset": 1, "skip_prk_steps": True},
    "SDXL": PLAIN | {"steps_offset": 1, "timestep_spacing": "leading", "interpolation_type": "linear"},
    "v, zero terminal SNR": PLAIN
    | {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
}
FUNCTIONS = {
    "Euler a": "sample_euler_ancestral", "Euler": "sample_euler", "Heun": "sample_heun", "DPM++ 2M": "sample_dpmpp_2m",
    "DPM++ 2M SDE": "sample_dpmpp_2m_sde", "DPM++ SDE": "sample_dpmpp_sde", "DDIM": "sample_euler",
}  # fmt: skip
OF_PACKAGE = ("Normal", "Karras", "Exponential")
ALLOWED_SIGMAS, ALLOWED_RESULTS = 1e-5, 1e-4

Noise = Callable[[Any, Any], torch.Tensor]


def inside_own_environment() -> None:
    """Run this script again in an environment that has the package."""
    with tempfile.TemporaryDirectory(prefix="sid-peers-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PINNED], check=True)
        inside = sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder})
        borrowed = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        (Path(inside) / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
        subprocess.run([python, str(Path(__file__).resolve()), "--inside"], check=True, cwd=folder)


def k_diffusion() -> tuple[Any, Any]:
    """Import the package's sampling and external modules, without the rest of it, which needs dozens of packages."""
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = types.ModuleType(name)  # for opening pictures
    sys.modules["torchvision.transforms"].functional = sys.modules["torchvision.transforms.functional"]  # type: ignore[attr-defined]
    package = types.ModuleType("k_diffusion")
    [found] = [folder for folder in map(Path, sys.path) if (folder / "k_diffusion").is_dir()]
    package.__path__ = [str(found / "k_diffusion")]
    sys.modules["k_diffusion"] = package
    from k_diffusion import external, sampling

    return sampling, external


def denoised(latents: torch.Tensor, sigma: float) -> torch.Tensor:
    """The best guess for pictures of a normal distribution, bent a little."""
    best = (latents * 0.25 + 0.5 * sigma**2) / (0.25 + sigma**2)
    return best + 0.3 * torch.sin(latents / (1 + sigma)) * sigma / (1 + sigma)


def ours(config: dict[str, Any], sampler: str, schedule: str, steps: int) -> torch.Tensor:
    """The result of sid's sampling."""
    from bootstrap.models import discrete_sampling, schedules

    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    noise = torch.stack([torch.randn(4, 8, 8, generator=generator) for generator in generators])
    sampling = discrete_sampling.sampling(config, sampler, schedule, steps, None, noise, generators)
    model = schedules.discrete_sigmas(config)
    latents = sampling.begin(None)
    for timestep in sampling.timesteps:
        sigma = model.sigma(float(timestep))
        seen = sampling.model_input(latents, timestep).double() * math.hypot(1, sigma)
        predicted = (seen - denoised(seen, sigma)) / sigma
        if config.get("prediction_type") == "v_prediction":
            predicted = (predicted - sigma * denoised(seen, sigma)) / math.hypot(1, sigma)
        latents = sampling.step(predicted.float(), timestep, latents)
    return latents


def theirs(sampling: Any, sampler: str, sigmas: list[float]) -> torch.Tensor:
    """The result of the package's function, with A1111's noise."""
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]

    def rows() -> torch.Tensor:
        return torch.stack([torch.randn(4, 8, 8, generator=generator) for generator in generators])

    levels = torch.tensor(sigmas)
    start = rows() * levels[0]
    named: dict[str, Any] = {"disable": True}
    if "SDE" in sampler:
        ends = levels[levels > 0].min(), levels.max()
        named["noise_sampler"] = sampling.BrownianTreeNoiseSampler(start, *ends, seed=list(SEEDS))
    elif sampler == "Euler a":
        named["noise_sampler"] = lambda here, there: rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchsde's of times in float32
        result: torch.Tensor = getattr(sampling, FUNCTIONS[sampler])(
            lambda latents, sigma: denoised(latents.double(), float(sigma[0])).float(), start, levels, **named
        )
    return result


def their_sigmas(
    sampling: Any, external: Any, schedule: str, config: dict[str, Any], steps: int
) -> torch.Tensor:
    """The package's schedule of a model."""
    from bootstrap.models import schedules

    model = schedules.discrete_sigmas(config)
    if schedule == "Normal":
        found: torch.Tensor = external.DiscreteSchedule(
            torch.tensor(model.sigmas), quantize=False
        ).get_sigmas(steps)
    else:
        rule = getattr(sampling, f"get_sigmas_{schedule.lower()}")
        found = rule(steps, model.least, model.most)
    return found


def compare() -> list[dict[str, Any]]:
    """Return the differences of every combination."""
    from bootstrap.models import discrete_sampling
    from bootstrap.models.family import SCHEDULES

    sampling, external = k_diffusion()
    rows = []
    for sampler in FUNCTIONS:
        for schedule in SCHEDULES[1:]:
            for model, config in MODELS.items():
                for steps in STEPS:
                    sigmas = discrete_sampling.step_sigmas(config, sampler, schedule, steps)
                    row: dict[str, Any] = {
                        "sampler": sampler,
                        "schedule": schedule,
                        "model": model,
                        "steps": steps,
                    }
                    if schedule in OF_PACKAGE:
                        expected = their_sigmas(sampling, external, schedule, config, steps).double()
                        found = torch.tensor(sigmas, dtype=torch.float64)
                        row["sigmas"] = float(((found - expected).abs() / expected.clamp(min=1e-9)).max())
                    result, wanted = ours(config, sampler, schedule, steps), theirs(sampling, sampler, sigmas)
                    row["result"] = float(
                        (result - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()
                    )
                    rows.append(row)
    return rows


def page(rows: list[dict[str, Any]]) -> str:
    """Return the table: the largest difference over models and steps."""
    from bootstrap.models.family import SCHEDULES

    lines = [
        "# Samplers against k-diffusion",
        "",
        f"`python benchmarks/peers/samplers.py`: {PINNED[0].replace('==', ' ')}, torch {version('torch')}.",
        f"The largest relative RMS of results over three models ({'; '.join(MODELS)})",
        f"and {', '.join(map(str, STEPS))} steps; {len(rows)} combinations, all figures in samplers.json.",
        "",
        f"| sampler | {' | '.join(SCHEDULES[1:])} |",
        f"|---|{'---|' * len(SCHEDULES[1:])}",
    ]
    for sampler in FUNCTIONS:
        largest = [
            max(row["result"] for row in rows if (row["sampler"], row["schedule"]) == (sampler, schedule))
            for schedule in SCHEDULES[1:]
        ]
        lines.append(f"| {sampler} | {' | '.join(f'{value:.1e}' for value in largest)} |")
    sigmas = {
        schedule: max(row["sigmas"] for row in rows if row["schedule"] == schedule) for schedule in OF_PACKAGE
    }
    told = ", ".join(f"{schedule} {value:.1e}" for schedule, value in sigmas.items())
    beyond = [row for row in rows if row["result"] > ALLOWED_RESULTS or row.get("sigmas", 0) > ALLOWED_SIGMAS]
    lines += ["", f"Largest relative difference of a sigma, where the package has the schedule: {told}."]
    lines += [
        "",
        f"Beyond {ALLOWED_RESULTS:g} (results) or {ALLOWED_SIGMAS:g} (sigmas): {len(beyond)}. With zero terminal SNR",
        "Heun's first step goes from sigma 4096 to a few tens; its correction multiplies float32's rounding errors by",
        "that ratio.",
    ]
    lines += [f"- {json.dumps(row)}" for row in beyond]
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module's docstring."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    if not arguments.parse_args().inside:
        inside_own_environment()
        return
    from bootstrap.files import write_text

    rows = compare()
    text = page(rows)
    print(text)
    write_text(RESULTS / "samplers.md", text)
    lines = ",\n".join(json.dumps(row) for row in rows)
    write_text(RESULTS / "samplers.json", f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
