"""Samplers: pictures that do not depend on their batch, with the base model's own noise schedule."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from bootstrap.errors import UserError
from bootstrap.models import diffusers_samplers
from bootstrap.models.family import BaseModel
from bootstrap.planning.prompt_texts import predictions
from bootstrap.project.settings import LCM_STEPS, SAMPLERS, parse
from tests.drawing.test_engine import draw, shot

NOISY = ("Euler a", "DPM++ 2M SDE", "DPM++ 2M SDE Karras", "DPM++ SDE", "DPM++ SDE Karras", "LCM")
PLAIN = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 5])
def test_a_picture_is_the_same_alone_and_in_a_batch(papertown: BaseModel, sampler: str, steps: int) -> None:
    shots = [shot(papertown, n, sampler=sampler, steps=steps, width=64, height=64) for n in range(3)]
    together = draw(papertown, shots)
    (alone,) = draw(papertown, [shots[1]]).values()
    assert np.abs(alone - together[shots[1].id]).max() <= 2
    assert alone.std() > 1  # not a blank picture; at this size it may be little more than a wall


@pytest.mark.parametrize("sampler", NOISY)
def test_a_sampler_with_its_own_noise_draws_it_for_each_picture(sampler: str) -> None:
    scheduler = diffusers_samplers.scheduler_of(sampler, PLAIN)
    scheduler.set_timesteps(4)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2, 1)]
    latents = torch.zeros(3, 4, 8, 8)
    noise = diffusers_samplers.own_noise(scheduler, latents, generators)
    for timestep in scheduler.timesteps[:2]:
        scheduler.scale_model_input(latents, timestep)
        latents = scheduler.step(torch.zeros_like(latents), timestep, latents, return_dict=False, **noise)[0]
    assert torch.equal(latents[0], latents[2])
    assert not torch.allclose(latents[0], latents[1])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("config", [{}, {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}])
def test_the_base_models_noise_schedule_is_kept(sampler: str, config: dict) -> None:
    scheduler = diffusers_samplers.scheduler_of(sampler, PLAIN | config)
    expected = diffusers_samplers.scheduler_of("Euler", PLAIN | config).alphas_cumprod
    assert scheduler.config.prediction_type == config.get("prediction_type", "epsilon")
    assert torch.allclose(scheduler.alphas_cumprod[:-1], expected[:-1], rtol=1e-4)
    assert abs(scheduler.alphas_cumprod[-1] - expected[-1]) < 1e-6
    scheduler.set_timesteps(8)
    assert all(earlier >= later for earlier, later in pairwise(scheduler.timesteps.tolist()))


TARGET = 0.3  # of every latent that the perfect denoiser knows


def drawn_to_target(base: BaseModel, sampler: str, steps: int, last: int | None) -> torch.Tensor:
    """Sample with a denoiser that knows the result: v-prediction of latents that are TARGET everywhere."""
    alphas_cumprod = diffusers_samplers.scheduler_of("DDIM", base.scheduler_config).alphas_cumprod.double()
    generators = [torch.Generator().manual_seed(steps)]
    noise = torch.randn(1, 4, 2, 2, generator=generators[0])
    sampling = base.family.sampling(base, sampler, steps, last, noise, generators)
    latents = sampling.begin(None if last is None else torch.full_like(noise, -TARGET))
    for timestep in sampling.timesteps:
        # Karras' timesteps may lie between two whole ones.
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


@pytest.mark.parametrize("sampler", SAMPLERS)
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
            ended = drawn_to_target(papertown, sampler, steps, last)
            off = (ended - TARGET).abs().max()
            assert off < allowed, f"{steps} steps, the last {last}: off by {off}"


def test_only_samplers_named_karras_use_its_sigmas() -> None:
    for name in SAMPLERS:
        scheduler = diffusers_samplers.scheduler_of(name, PLAIN | {"use_karras_sigmas": True})
        assert scheduler.config.get("use_karras_sigmas", False) == name.endswith("Karras"), name


def test_schedules_in_prompts_count_calls_of_the_unet() -> None:
    assert predictions("Euler", 20) == 20
    assert predictions("Heun", 20) == predictions("DPM++ SDE Karras", 20) == 40
    for name in SAMPLERS:
        assert predictions(name, 20) == 20 * diffusers_samplers.scheduler_of(name, PLAIN).order, name


def test_lcm_with_too_many_steps_is_refused_before_any_work() -> None:
    raw = {"project": {"caption": "woman, hat"}, "drawing": {"sampler": "LCM", "steps": 60}}
    with pytest.raises(UserError, match=r"'drawing'.*LCM.*50 steps"):
        parse(raw, "project.toml")
