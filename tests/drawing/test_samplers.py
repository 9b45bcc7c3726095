"""Samplers: sigmas by the published rules, steps by k-diffusion's, and pictures that do not depend on their batch.

The rules are written out here once more, from stable-diffusion-webui 1.10 (modules/sd_schedulers.py) and k-diffusion
0.1 (k_diffusion/sampling.py), in their own terms; benchmarks/peers/ compares with the k-diffusion package itself.
"""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from bootstrap.errors import UserError
from bootstrap.models import diffusers_samplers, discrete_sampling
from bootstrap.models.family import LCM_STEPS, OLDER_NAMES, SAMPLERS, SCHEDULES, BaseModel
from bootstrap.planning.prompt_texts import predictions
from bootstrap.project.settings import parse
from tests.drawing.test_engine import draw, shot
from tests.sid_command import in_this_process

NOISY = ("Euler a", "DPM++ 2M SDE", "DPM++ SDE", "LCM")
STEPS = (4, 10, 20, 33)
# Stable Diffusion 1.5's scheduler file and XL's, which differ in class and spacing, and a v-prediction model's.
PLAIN = {
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "steps_offset": 1,
}  # fmt: skip
XL = PLAIN | {"timestep_spacing": "leading", "interpolation_type": "linear"}
ZERO_SNR = PLAIN | {
    "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing",
}  # fmt: skip
CONFIGS = {"sd15": PLAIN, "sdxl": XL, "zero snr": ZERO_SNR}


def model_sigmas(config: dict[str, Any]) -> np.ndarray:
    """The sigmas of all timesteps, from the betas."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = np.sqrt(np.cumprod(1 - betas))
    if config.get("rescale_betas_zero_snr"):  # Lin et al. 2023, arXiv 2305.08891, algorithm 1
        alphas = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
        alphas[-1] = 2**-12  # diffusers: the last sigma is 4096 instead of infinite
    alphas_cumprod = (alphas**2).astype(np.float32).astype(np.float64)  # models keep it in float32
    return np.sqrt((1 - alphas_cumprod) / alphas_cumprod)


def published(schedule: str, steps: int, config: dict[str, Any]) -> list[float]:
    """A schedule by A1111's rule."""
    sigmas = model_sigmas(config)
    logs, most, least = np.log(sigmas), sigmas[-1], sigmas[0]

    def sigma_of(timesteps: Any) -> np.ndarray:
        return np.exp(np.interp(timesteps, range(1000), logs))

    ramp = np.linspace(0, 1, steps)
    rules: dict[str, Callable[[], Any]] = {
        "Normal": lambda: sigma_of(np.linspace(999, 0, steps)),
        "Karras": lambda: (most ** (1 / 7) + ramp * (least ** (1 / 7) - most ** (1 / 7))) ** 7,
        "Exponential": lambda: np.exp(np.linspace(math.log(most), math.log(least), steps)),
        "SGM Uniform": lambda: sigma_of(np.linspace(999, 0, steps + 1)[:-1]),
        "Simple": lambda: [sigmas[-(1 + int(step * 1000 / steps))] for step in range(steps)],
        "Beta": lambda: least + stats.beta.ppf(1 - ramp, 0.6, 0.6) * (most - least),
        "DDIM uniform": lambda: sigmas[list(range(1, 1000, 1000 // steps))][::-1],
    }
    return [*rules[schedule](), 0.0]


AUTOMATIC = {"DPM++ 2M": "Karras", "DPM++ SDE": "Karras", "DPM++ 2M SDE": "Exponential"}  # all others: Normal


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_sigmas_follow_the_published_rules(config: dict[str, Any], steps: int) -> None:
    for sampler in SAMPLERS:
        for schedule in SCHEDULES[1:]:
            sigmas = discrete_sampling.step_sigmas(config, sampler, schedule, steps)
            expected = published(schedule, steps, config)
            np.testing.assert_allclose(sigmas, expected, rtol=1e-5, err_msg=f"{sampler}, {schedule}")


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("config", [PLAIN, XL], ids=["sd15", "sdxl"])
def test_automatic_is_a1111s_own_schedule(config: dict[str, Any], steps: int) -> None:
    all_sigmas = model_sigmas(config)
    known_to_lcm = all_sigmas[19::20]
    expected = {
        sampler: published(AUTOMATIC.get(sampler, "Normal"), steps, config)
        for sampler in SAMPLERS[:6]
    } | {
        "LCM": [*np.exp(np.interp(np.linspace(49, 0, steps), range(50), np.log(known_to_lcm))), 0.0],
        # Whole timesteps, from the last one but one step down to the step before 0.
        "UniPC": [*all_sigmas[np.linspace(999, 0, steps + 1)[:-1].round().astype(int)], all_sigmas[0]],
    }  # fmt: skip
    for sampler, sigmas in expected.items():
        found = discrete_sampling.step_sigmas(config, sampler, "Automatic", steps)
        np.testing.assert_allclose(found, sigmas, rtol=1e-5, err_msg=sampler)
    ddim = discrete_sampling.step_sigmas(config, "DDIM", "Automatic", steps)
    np.testing.assert_allclose(ddim[:-1], all_sigmas[np.arange(steps) * (1000 // steps) + 1][::-1], rtol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_zero_terminal_snr_keeps_its_own_spacing(sampler: str) -> None:
    sigmas = discrete_sampling.step_sigmas(ZERO_SNR, sampler, "Automatic", 10)
    expected = model_sigmas(ZERO_SNR)[np.arange(1000, 0, -100) - 1]
    if sampler == "Heun":  # its first step is limited, see diffusers_samplers.set_steps
        sigmas, expected = sigmas[1:], expected[1:]
    if sampler in ("DDIM", "LCM"):  # these start from noise alone, so from an infinite sigma
        assert sigmas[0] > 4000
        sigmas, expected = sigmas[1:], expected[1:]
    if sampler != "LCM":  # it has every 20th timestep of its own
        np.testing.assert_allclose(sigmas[: len(expected)], expected, rtol=1e-3)


def denoised(latents: torch.Tensor, sigma: float) -> torch.Tensor:
    """The analytic denoiser: the best guess for pictures of a normal distribution, bent a little."""
    best = (latents * 0.25 + 0.5 * sigma**2) / (0.25 + sigma**2)
    return best + 0.3 * torch.sin(latents / (1 + sigma)) * sigma / (1 + sigma)


def seeds_of(sampler: str) -> tuple[int, ...]:
    """The rows to sample: one where the noise is a Brownian motion, which is slow to draw."""
    return (5,) if "SDE" in sampler else (5, 6)


def sampled(
    config: dict[str, Any], sampler: str, schedule: str, steps: int, last: int | None = None
) -> torch.Tensor:
    """Sample latents with the analytic denoiser, through the family's door; see `denoised`."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds_of(sampler)]
    noise = torch.stack([torch.randn(4, 8, 8, generator=generator) for generator in generators])
    sampling = discrete_sampling.sampling(config, sampler, schedule, steps, last, noise, generators)
    latents = sampling.begin(None if last is None else torch.full_like(noise, 0.3))
    logs = np.log(model_sigmas(config))
    for timestep in sampling.timesteps:
        sigma = math.exp(np.interp(float(timestep), range(1000), logs))
        scaled = sampling.model_input(latents, timestep).double()  # what the denoiser sees has unit variance
        unscaled = scaled * math.hypot(1, sigma)
        predicted = (unscaled - denoised(unscaled, sigma)) / sigma
        if config.get("prediction_type") == "v_prediction":
            predicted = (predicted - sigma * denoised(unscaled, sigma)) / math.hypot(1, sigma)
        latents = sampling.step(predicted.float(), timestep, latents)
    return latents


def by_k_diffusion(sampler: str, sigmas: list[float], start: torch.Tensor | None = None) -> torch.Tensor:
    """The same by k-diffusion's step rules, written out in its own terms (t is -log sigma)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds_of(sampler)]

    def noise(*_: Any) -> torch.Tensor:
        return torch.stack([torch.randn(4, 8, 8, generator=generator) for generator in generators]).double()

    x = noise() * sigmas[0] + (0 if start is None else start)
    if "SDE" in sampler:
        noise = brownian(sigmas)
    old, h_last = None, None
    for s, s_next in pairwise(sigmas):
        d = denoised(x, s)
        if sampler in ("Euler", "DDIM"):
            x = x + (x - d) / s * (s_next - s)
        elif sampler == "Euler a":
            up = min(s_next, (s_next**2 * (s**2 - s_next**2) / s**2) ** 0.5)
            x = x + (x - d) / s * ((s_next**2 - up**2) ** 0.5 - s)
            x = x + noise() * up if s_next else x
        elif sampler == "Heun":
            slope, ahead = (x - d) / s, x + (x - d) / s * (s_next - s)
            if s_next:
                slope = (slope + (ahead - denoised(ahead, s_next)) / s_next) / 2
            x = x + slope * (s_next - s)
        elif s_next == 0:
            x = d
        elif sampler == "DPM++ 2M":
            t, t_next = -math.log(s), -math.log(s_next)
            h = t_next - t
            blend = d if old is None else (1 + h / (2 * h_last)) * d - h / (2 * h_last) * old
            x, h_last = s_next / s * x - math.expm1(-h) * blend, h
        elif sampler == "DPM++ 2M SDE":  # midpoint, eta 1
            h = math.log(s / s_next)
            x_next = s_next / s * math.exp(-h) * x - math.expm1(-2 * h) * d
            if old is not None:
                x_next = x_next - 0.5 * math.expm1(-2 * h) * h / h_last * (d - old)
            x, h_last = x_next + noise(s, s_next) * s_next * math.sqrt(-math.expm1(-2 * h)), h
        else:  # DPM++ SDE, r 1/2, eta 1
            t, t_next = -torch.tensor([s, s_next]).log()  # in float32, as the Brownian motion rounds
            s_first, middle, s_last = torch.stack([-t, -(t + (t_next - t) / 2), -t_next]).exp().tolist()
            su = min(middle, (middle**2 * (s**2 - middle**2) / s**2) ** 0.5)
            sd = (middle**2 - su**2) ** 0.5
            x_2 = sd / s * x - (sd / s - 1) * d + noise(s_first, middle) * su
            su = min(s_next, (s_next**2 * (s**2 - s_next**2) / s**2) ** 0.5)
            sd = (s_next**2 - su**2) ** 0.5
            x = sd / s * x - (sd / s - 1) * denoised(x_2, middle) + noise(s_first, s_last) * su
        old = d
    return x


def brownian(sigmas: list[float]) -> Callable[[float, float], torch.Tensor]:
    """k-diffusion's noise of its SDE samplers: a Brownian motion from the last sigma to the first, for each seed."""
    import torchsde

    ends = torch.tensor(sigmas[-2]), torch.tensor(sigmas[0])
    seeds = seeds_of("SDE")
    trees = [torchsde.BrownianTree(ends[0], torch.zeros(4, 8, 8), ends[1], entropy=seed) for seed in seeds]

    def drawn(sigma: float, sigma_next: float) -> torch.Tensor:
        times = torch.tensor([sigma_next, sigma])
        return -torch.stack([tree(*times) for tree in trees]).double() / (times[1] - times[0]).sqrt()

    return drawn


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Relative RMS."""
    return float((first - second).square().mean().sqrt() / second.square().mean().sqrt())


@pytest.mark.filterwarnings("ignore:Should have")  # torchsde rounds to six decimals, and warns of it
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("sampler", SAMPLERS[:7])
def test_steps_follow_k_diffusions_rules(sampler: str, config: dict[str, Any]) -> None:
    for schedule in SCHEDULES[1:]:
        for steps in STEPS:
            sigmas = discrete_sampling.step_sigmas(config, sampler, schedule, steps)
            if sampler == "Heun" and sigmas[0] > 10 * sigmas[1]:
                continue  # the correction of such a step multiplies rounding errors by this ratio
            expected = by_k_diffusion(sampler, sigmas)
            found = sampled(config, sampler, schedule, steps)
            assert difference(found, expected) < 1e-4, (schedule, steps)


@pytest.mark.filterwarnings("ignore:Should have")
@pytest.mark.parametrize("sampler", SAMPLERS[:6])
def test_a_picture_as_start_takes_the_last_steps(sampler: str) -> None:
    sigmas = discrete_sampling.step_sigmas(PLAIN, sampler, "Karras", 20)[-9:]
    expected = by_k_diffusion(sampler, sigmas, torch.full((4, 8, 8), 0.3))
    assert difference(sampled(PLAIN, sampler, "Karras", 20, last=8), expected) < 1e-4


@pytest.mark.parametrize("steps", [4, 8])
def test_lcm_draws_noise_anew_at_each_step(steps: int) -> None:
    sigmas = discrete_sampling.step_sigmas(PLAIN, "LCM", "Automatic", steps)
    logs = np.log(model_sigmas(PLAIN))
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]

    def noise() -> torch.Tensor:
        return torch.stack([torch.randn(4, 8, 8, generator=generator) for generator in generators])

    x = noise() * sigmas[0]
    for sigma, sigma_next in pairwise(sigmas):
        timestep = float(
            np.abs(logs[19::20] - math.log(sigma)).argmin() * 20 + 19
        )  # that the model was distilled at
        # The denoiser is asked at that timestep, so it takes the latents to have its sigma.
        asked = math.exp(logs[int(timestep)])
        seen = x.double() / math.hypot(1, sigma) * math.hypot(1, asked)
        picture = x - sigma * (seen - denoised(seen, asked)) / asked
        scaled = 10 * timestep
        x = picture * scaled / math.hypot(scaled, 0.5) + x * 0.25 / (scaled**2 + 0.25)
        x = x + noise() * sigma_next if sigma_next else x
    assert difference(sampled(PLAIN, "LCM", "Automatic", steps), x) < 1e-4


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_combination_ends_in_a_picture(sampler: str, schedule: str, config: dict[str, Any]) -> None:
    for steps in (1, 2, 7):
        result = sampled(config, sampler, schedule, steps)
        assert result.isfinite().all(), steps
        if sampler != "Heun":  # whose correction of a long first step overshoots, in k-diffusion as well
            assert result.abs().max() < 12, steps  # without the initial noise


@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if sampler not in NOISY])
def test_many_steps_of_samplers_without_noise_agree(sampler: str) -> None:
    """They solve one equation, so with many steps they come to one result."""
    exact = by_k_diffusion("Heun", published("Karras", 200, PLAIN))
    assert difference(sampled(PLAIN, sampler, "Karras", 100), exact) < 0.05


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("steps", "schedule"), [(1, "Automatic"), (5, "Automatic"), (5, "Karras")])
def test_a_picture_is_the_same_alone_and_in_a_batch(
    papertown: BaseModel, sampler: str, steps: int, schedule: str
) -> None:
    shots = [
        shot(papertown, n, sampler=sampler, schedule=schedule, steps=steps, width=64, height=64)
        for n in range(3)
    ]
    together = draw(papertown, shots)
    (alone,) = draw(papertown, [shots[1]]).values()
    assert np.abs(alone - together[shots[1].id]).max() <= 2
    assert alone.std() > 1  # not a blank picture; at this size it may be little more than a wall


@pytest.mark.parametrize("sampler", NOISY)
def test_a_sampler_with_its_own_noise_draws_it_for_each_picture(sampler: str) -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2, 1)]
    noise = torch.zeros(3, 4, 8, 8)
    sampling = discrete_sampling.sampling(PLAIN, sampler, "Karras", 4, None, noise, generators)
    latents = sampling.begin(None)
    for timestep in sampling.timesteps[:2]:
        sampling.model_input(latents, timestep)
        latents = sampling.step(torch.zeros_like(latents), timestep, latents)
    assert torch.equal(latents[0], latents[2])
    assert not torch.allclose(latents[0], latents[1])


@pytest.mark.parametrize("sampler", [*SAMPLERS, *OLDER_NAMES])
@pytest.mark.parametrize("config", [{}, {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}])
def test_older_shots_keep_the_base_models_noise_schedule(sampler: str, config: dict[str, Any]) -> None:
    scheduler = diffusers_samplers.scheduler_of(sampler, PLAIN | config)
    expected = diffusers_samplers.scheduler_of("Euler", PLAIN | config).alphas_cumprod
    assert scheduler.config.prediction_type == config.get("prediction_type", "epsilon")
    assert torch.allclose(scheduler.alphas_cumprod[:-1], expected[:-1], rtol=1e-4)
    assert abs(scheduler.alphas_cumprod[-1] - expected[-1]) < 1e-6
    scheduler.set_timesteps(8)
    assert all(earlier >= later for earlier, later in pairwise(scheduler.timesteps.tolist()))
    named = diffusers_samplers.scheduler_of(sampler, PLAIN | {"use_karras_sigmas": True})
    assert named.config.get("use_karras_sigmas", False) == sampler.endswith("Karras")


TARGET = 0.3  # of every latent that the perfect denoiser knows


def drawn_to_target(
    base: BaseModel, sampler: str, schedule: str, steps: int, last: int | None
) -> torch.Tensor:
    """Sample with a denoiser that knows the result: v-prediction of latents that are TARGET everywhere."""
    alphas_cumprod = diffusers_samplers.scheduler_of("DDIM", base.scheduler_config).alphas_cumprod.double()
    generators = [torch.Generator().manual_seed(steps)]
    noise = torch.randn(1, 4, 2, 2, generator=generators[0])
    sampling = base.family.sampling(base, sampler, schedule, steps, last, noise, generators)
    latents = sampling.begin(None if last is None else torch.full_like(noise, -TARGET))
    for timestep in sampling.timesteps:
        # Timesteps may lie between two whole ones.
        below = int(timestep)
        share = float(timestep) - below
        above = min(below + 1, len(alphas_cumprod) - 1)
        alpha = ((1 - share) * alphas_cumprod[below] + share * alphas_cumprod[above]).sqrt()
        noisy = sampling.model_input(latents, timestep)
        velocity = (alpha * noisy - TARGET) / (1 - alpha**2).sqrt()
        latents = sampling.step(velocity.float(), timestep, latents)
    return latents


# "DPM++ SDE" draws its noise slowly, so it tries fewer.
FEW = [1, 2, 4, 20, 21, 25, 60]


@pytest.mark.parametrize("sampler", [*SAMPLERS, *OLDER_NAMES])
def test_every_number_of_steps_ends_at_the_picture(papertown: BaseModel, sampler: str) -> None:
    """Paper Town's schedule has zero terminal SNR, whose first Karras steps round to equal timesteps."""
    most = LCM_STEPS if sampler == "LCM" else 60
    # With counts that do not divide 1000, diffusers' DDIM ends at the smallest noise level, 0.03 standard deviations.
    allowed = 0.15 if sampler == "DDIM" else 0.02
    counts = FEW if sampler.startswith("DPM++ SDE") else range(1, most + 1)
    for steps in counts:
        for last in (None, max(1, steps // 2)) if steps in FEW else (None,):
            if steps > most:
                continue
            ended = drawn_to_target(papertown, sampler, "", steps, last)
            off = (ended - TARGET).abs().max()
            assert off < allowed, f"{steps} steps, the last {last}: off by {off}"


def test_schedules_in_prompts_count_calls_of_the_unet() -> None:
    assert predictions("Euler", 20) == 20
    assert (
        predictions("Heun", 20) == predictions("DPM++ SDE", 20) == predictions("DPM++ SDE Karras", 20) == 40
    )
    for name in SAMPLERS:
        assert predictions(name, 20) == 20 * diffusers_samplers.scheduler_of(name, PLAIN).order, name


def test_a_schedule_is_part_of_a_shots_identity(papertown: BaseModel) -> None:
    drawn = {shot(papertown, 1, schedule=schedule).id for schedule in ("", *SCHEDULES)}
    assert len(drawn) == 1 + len(SCHEDULES)


def test_a1111s_older_names_set_sampler_and_schedule() -> None:
    raw = {"project": {"caption": "woman, hat"}, "drawing": {"sampler": "DPM++ 2M SDE Karras"}}
    drawing = parse(raw, "project.toml").drawing
    assert (drawing.sampler, drawing.schedule) == ("DPM++ 2M SDE", "Karras")
    raw["drawing"] |= {"schedule": "Simple"}
    with pytest.raises(UserError, match=r"'drawing'.*DPM\+\+ 2M SDE Karras.*contradicts.*Simple"):
        parse(raw, "project.toml")


def test_lcm_with_too_many_steps_is_refused_before_any_work() -> None:
    raw = {"project": {"caption": "woman, hat"}, "drawing": {"sampler": "LCM", "steps": 60}}
    with pytest.raises(UserError, match=r"'drawing'.*LCM.*50 steps"):
        parse(raw, "project.toml")


def test_the_samplers_verb_lists_the_sigmas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_this_process(monkeypatch, capsys)
    code, printed, _ = run("samplers", "--steps", "10", "--json")
    assert code == 0
    listed = json.loads(printed)
    assert {(entry["sampler"], entry["schedule"]) for entry in listed} == {
        (sampler, schedule) for sampler in SAMPLERS for schedule in SCHEDULES
    }
    (simple,) = [entry for entry in listed if (entry["sampler"], entry["schedule"]) == ("Euler", "Simple")]
    np.testing.assert_allclose(simple["sigmas"], published("Simple", 10, PLAIN), rtol=1e-5)
    assert all(len(entry["sigmas"]) == 11 for entry in listed)  # 10 divides 1000, so DDIM uniform's as well
    _, printed, _ = run("samplers", "--base", "papertown", "--steps", "150")
    assert "Euler a, Automatic: 4096 " in printed and "LCM" not in printed  # it takes 50 steps at most
    [line] = [line for line in printed.splitlines() if line.startswith("Heun, Karras: ")]
    assert len(line.split()) == 2 + 151
    code, _, refused = run("samplers", "--base", "papertwn")
    assert code == 2
    assert "did you mean 'papertown'" in refused
