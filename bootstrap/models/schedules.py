"""Noise schedules of models with a discrete noise process (DDPM): the sigmas of a sampling's steps, by A1111's rules.

A sigma is the noise's standard deviation relative to the picture: sqrt((1 - alphas_cumprod) / alphas_cumprod). A
schedule lists the sigma before each step, and 0 after the last one.

Sources: stable-diffusion-webui 1.10, modules/sd_schedulers.py, and k-diffusion 0.1, k_diffusion/sampling.py and
external.py (`DiscreteSchedule`); ComfyUI, comfy/samplers.py, has the same rules under the names in lower case, except
for beta, whose quantiles are of timesteps there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RHO = 7.0  # of Karras et al. 2022, and k-diffusion's default
_BETA = (
    0.6  # both parameters of the beta distribution; Lee et al. 2024, arXiv 2407.12173, and A1111's default
)
_LEAST_ALPHA = 2.0**-12  # the square root of alphas_cumprod at the last timestep, with zero terminal SNR
_LCM_STRIDE = 20  # a latent consistency model knows every 20th timestep: 50 of 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DiscreteSigmas:
    """The sigmas of a model's discrete timesteps, and the continuous mapping between both."""

    sigmas: Floats  # (num_train_timesteps,), increasing

    @property
    def least(self) -> float:
        """The sigma of timestep 0."""
        return float(self.sigmas[0])

    @property
    def most(self) -> float:
        """The sigma of the last timestep."""
        return float(self.sigmas[-1])

    def timestep(self, sigma: float) -> float:
        """Return the timestep of a sigma, interpolated between the two nearest in log sigma; within 0 and the last."""
        return float(np.interp(math.log(sigma), np.log(self.sigmas), np.arange(len(self.sigmas))))

    def sigma(self, timestep: float) -> float:
        """Return the sigma of a timestep, which need not be a whole number."""
        return math.exp(np.interp(timestep, np.arange(len(self.sigmas)), np.log(self.sigmas)))


def discrete_sigmas(scheduler_config: dict[str, Any]) -> DiscreteSigmas:
    """Return the sigmas of a base model's timesteps.

    With zero terminal SNR (Lin et al. 2023, arXiv 2305.08891) the last sigma would be infinite; it is 4096, as in
    diffusers.

    Args:
        scheduler_config: of the base model, in diffusers' form.
    """
    from diffusers import DDPMScheduler

    known = {key: scheduler_config[key] for key in _NOISE_KEYS if key in scheduler_config}
    count, kind = known.get("num_train_timesteps", 1000), known.get("beta_schedule", "linear")
    ends = known.get("beta_start", 0.0001), known.get("beta_end", 0.02)  # diffusers' defaults
    if known.get("trained_betas") is not None or kind not in ("linear", "scaled_linear"):
        betas = DDPMScheduler.from_config(known).betas.double().numpy()
    elif kind == "scaled_linear":
        betas = np.linspace(ends[0] ** 0.5, ends[1] ** 0.5, count) ** 2
    else:
        betas = np.linspace(*ends, count)
    alphas = np.sqrt(np.cumprod(1 - betas))
    if scheduler_config.get("rescale_betas_zero_snr"):
        alphas = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
        alphas[-1] = _LEAST_ALPHA
    # Models keep alphas_cumprod in float32, which k-diffusion computes sigmas from.
    alphas_cumprod = (alphas**2).astype(np.float32).astype(np.float64)
    return DiscreteSigmas(np.sqrt((1 - alphas_cumprod) / alphas_cumprod))


_NOISE_KEYS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")


def sigmas(schedule: str, steps: int, model: DiscreteSigmas) -> list[float]:
    """Return the sigma before each step, decreasing, and a last 0.

    DDIM uniform takes every (timesteps // steps)-th timestep from 1, so it may have more steps than asked for, as in
    A1111 and ComfyUI.

    Args:
        schedule: one of bootstrap.models.family.SCHEDULES but Automatic.
        steps: from 1.
        model: of the base model.
    """
    return [*_RULES[schedule](steps, model), 0.0]


def lcm_sigmas(steps: int, model: DiscreteSigmas) -> list[float]:
    """Return the schedule that A1111's LCM sampler has of its own: even steps over the timesteps that an LCM knows.

    Source: stable-diffusion-webui, modules/sd_samplers_lcm.py.
    """
    known = model.sigmas[_LCM_STRIDE - 1 :: _LCM_STRIDE]
    places = np.linspace(len(known) - 1, 0, steps)
    return [*np.exp(np.interp(places, np.arange(len(known)), np.log(known))).tolist(), 0.0]


def lcm_timestep(sigma: float, model: DiscreteSigmas) -> float:
    """Return the timestep, of those that a latent consistency model knows, whose sigma is nearest in logarithm."""
    known = np.log(model.sigmas[_LCM_STRIDE - 1 :: _LCM_STRIDE])
    return float(np.abs(math.log(sigma) - known).argmin() * _LCM_STRIDE + _LCM_STRIDE - 1)


def _normal(steps: int, model: DiscreteSigmas) -> list[float]:
    return [model.sigma(timestep) for timestep in np.linspace(len(model.sigmas) - 1, 0, steps)]


def _karras(steps: int, model: DiscreteSigmas) -> list[float]:
    ends = model.most ** (1 / _RHO), model.least ** (1 / _RHO)
    return (np.linspace(*ends, steps) ** _RHO).tolist()


def _exponential(steps: int, model: DiscreteSigmas) -> list[float]:
    return np.exp(np.linspace(math.log(model.most), math.log(model.least), steps)).tolist()


def _sgm_uniform(steps: int, model: DiscreteSigmas) -> list[float]:
    return [model.sigma(timestep) for timestep in np.linspace(len(model.sigmas) - 1, 0, steps + 1)[:-1]]


def _simple(steps: int, model: DiscreteSigmas) -> list[float]:
    stride = len(model.sigmas) / steps
    return [float(model.sigmas[-(1 + int(step * stride))]) for step in range(steps)]


def _beta(steps: int, model: DiscreteSigmas) -> list[float]:
    from scipy import stats

    shares = stats.beta.ppf(1 - np.linspace(0, 1, steps), _BETA, _BETA)
    return (model.least + shares * (model.most - model.least)).tolist()


def _ddim_uniform(steps: int, model: DiscreteSigmas) -> list[float]:
    return model.sigmas[1 :: max(len(model.sigmas) // steps, 1)][::-1].tolist()


_RULES: dict[str, Callable[[int, DiscreteSigmas], list[float]]] = {
    "Normal": _normal,
    "Karras": _karras,
    "Exponential": _exponential,
    "SGM Uniform": _sgm_uniform,
    "Simple": _simple,
    "Beta": _beta,
    "DDIM uniform": _ddim_uniform,
}
