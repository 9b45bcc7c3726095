"""Sampling of models with a discrete noise process (DDPM): which sampler steps over which schedule.

A shot without a schedule was made before schedules were a setting: its sampler steps over the timesteps that the base
model's scheduler file and diffusers' defaults lead to (diffusers_samplers.py). All others follow A1111 1.10.
"""

from collections.abc import Sequence
from typing import Any

import torch

from bootstrap.models import diffusers_samplers, schedules
from bootstrap.models.family import AUTOMATIC, Sampling
from bootstrap.models.sigma_samplers import SigmaSampling

# What Automatic is for each sampler; DDIM, UniPC and LCM have rules of their own. Source: stable-diffusion-webui 1.10,
# modules/sd_samplers_kdiffusion.py, the option `scheduler`.
_AUTOMATIC = {
    "Euler a": "Normal",
    "Euler": "Normal",
    "Heun": "Normal",
    "DPM++ 2M": "Karras",
    "DPM++ 2M SDE": "Exponential",
    "DPM++ SDE": "Karras",
}


def sampling(
    config: dict[str, Any],
    sampler: str,
    schedule: str,
    steps: int,
    last: int | None,
    noise: torch.Tensor,
    generators: Sequence[torch.Generator],
) -> Sampling:
    """Return the sampling of one batch; see bootstrap.models.family.Family.sampling.

    Args:
        config: the base model's scheduler file.
    """
    scheduler = _scheduler(config, sampler, schedule)
    if scheduler is None:
        model = schedules.discrete_sigmas(config)
        sigmas = _sigmas(config, sampler, schedule, steps)
        if last is not None:
            sigmas = sigmas[-(last + 1) :]
        predicts_v = config.get("prediction_type", "epsilon") == "v_prediction"
        return SigmaSampling(sampler, sigmas, model, predicts_v, noise, generators)
    own = None
    if sampler == "UniPC" and schedule not in ("", AUTOMATIC):
        own = schedules.sigmas(schedule, steps, schedules.discrete_sigmas(config))
    return diffusers_samplers.ScheduledSampling(scheduler, steps, last, noise, generators, own)


def step_sigmas(config: dict[str, Any], sampler: str, schedule: str, steps: int) -> list[float]:
    """Return the sigma before each step of a whole sampling, and the last one's; see schedules.py for what a sigma is.

    Args:
        config: the base model's scheduler file.
        sampler: one of bootstrap.models.family.SAMPLERS.
        schedule: one of bootstrap.models.family.SCHEDULES.
        steps: from 1.
    """
    scheduler = _scheduler(config, sampler, schedule)
    if scheduler is None or (sampler == "UniPC" and schedule != AUTOMATIC):
        return _sigmas(config, sampler, schedule, steps)
    return diffusers_samplers.step_sigmas(scheduler, steps)


def _scheduler(config: dict[str, Any], sampler: str, schedule: str) -> Any:
    """Return diffusers' scheduler for what is not stepped from sigma to sigma by our own rules; otherwise None."""
    if not schedule or (schedule == AUTOMATIC and config.get("rescale_betas_zero_snr")):
        # A model with zero terminal SNR demands the spacing that its scheduler file states: the first step is at the
        # last timestep, and the others are spaced evenly.
        return diffusers_samplers.scheduler_of(sampler, config)
    if sampler == "UniPC":
        return diffusers_samplers.scheduler_of(sampler, config | _UNIPC)
    if sampler == "DDIM" and schedule == AUTOMATIC:
        return diffusers_samplers.scheduler_of(sampler, config | _DDIM)
    return None


# stable-diffusion-webui, modules/sd_samplers_timesteps.py, and its defaults of the options uni_pc_*.
_UNIPC = {
    "timestep_spacing": "linspace", "solver_order": 3, "solver_type": "bh1", "final_sigmas_type": "sigma_min",
}  # fmt: skip
_DDIM = {"timestep_spacing": "leading", "steps_offset": 1}


def _sigmas(config: dict[str, Any], sampler: str, schedule: str, steps: int) -> list[float]:
    model = schedules.discrete_sigmas(config)
    if schedule == AUTOMATIC and sampler == "LCM":
        return schedules.lcm_sigmas(steps, model)
    return schedules.sigmas(_AUTOMATIC[sampler] if schedule == AUTOMATIC else schedule, steps, model)
