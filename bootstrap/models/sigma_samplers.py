"""Samplers that step from sigma to sigma, as k-diffusion's do: with its rules and its noise, on any schedule.

Latents are k-diffusion's: the picture plus sigma times the noise. Each rule below is a generator. It is sent the
latents and the picture that the denoiser sees in them, at the present sigma, and yields the latents of the next
prediction; the last that it yields are the result.

Source of the rules: k-diffusion 0.1, k_diffusion/sampling.py; of LCM's: stable-diffusion-webui 1.10,
modules/sd_samplers_lcm.py.
"""

import math
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from typing import Any

import torch
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

from bootstrap.models import schedules
from bootstrap.models.schedules import DiscreteSigmas

Noise = Callable[[float, float], torch.Tensor]
"""Noise of unit variance for a step from the first sigma to the second."""

Rule = Generator[torch.Tensor, tuple[torch.Tensor, torch.Tensor], None]

_LCM_SCALE = 10.0  # of the timesteps in a latent consistency model's boundary condition
_LCM_DATA = 0.5  # sigma_data of the same


def _euler(sigmas: Sequence[float], noise: Noise) -> Rule:
    latents, denoised = yield torch.empty(0)
    for here, there in pairwise(sigmas):
        slope = (latents - denoised) / here
        latents, denoised = yield latents + slope * (there - here)


def _euler_ancestral(sigmas: Sequence[float], noise: Noise) -> Rule:
    latents, denoised = yield torch.empty(0)
    for here, there in pairwise(sigmas):
        down, up = _ancestral(here, there)
        latents = latents + (latents - denoised) / here * (down - here)
        latents, denoised = yield latents + noise(here, there) * up if there else latents


def _heun(sigmas: Sequence[float], noise: Noise) -> Rule:
    latents, denoised = yield torch.empty(0)
    for here, there in pairwise(sigmas):
        slope = (latents - denoised) / here
        start = latents
        latents, denoised = yield start + slope * (there - here)
        if there:
            slope = (slope + (latents - denoised) / there) / 2
            latents, denoised = yield start + slope * (there - here)


def _dpmpp_2m(sigmas: Sequence[float], noise: Noise) -> Rule:
    latents, denoised = yield torch.empty(0)
    earlier: tuple[float, torch.Tensor] | None = (
        None  # the length of the last step in log sigma, and its picture
    )
    for here, there in pairwise(sigmas):
        blend, length = denoised, math.log(here / there) if there else math.inf
        if earlier is not None and there:
            share = length / (2 * earlier[0])
            blend = (1 + share) * denoised - share * earlier[1]
        earlier = length, denoised
        latents, denoised = yield there / here * latents - math.expm1(-length) * blend


def _dpmpp_2m_sde(sigmas: Sequence[float], noise: Noise) -> Rule:
    latents, denoised = yield torch.empty(0)
    earlier: tuple[float, torch.Tensor] | None = None
    for here, there in pairwise(sigmas):
        if not there:
            latents, denoised = yield denoised
            continue
        length = math.log(here / there)
        pull = -math.expm1(-2 * length)
        stepped = there / here * math.exp(-length) * latents + pull * denoised
        if earlier is not None:
            stepped = stepped + 0.5 * pull * length / earlier[0] * (denoised - earlier[1])
        earlier = length, denoised
        latents, denoised = yield stepped + noise(here, there) * (there * math.sqrt(pull))


def _dpmpp_sde(sigmas: Sequence[float], noise: Noise) -> Rule:
    latents, denoised = yield torch.empty(0)
    for here, there in pairwise(sigmas):
        if not there:
            latents, denoised = yield denoised
            continue
        start, (first, middle, last) = latents, _through_logs(here, there)
        down, up = _ancestral(here, middle)
        halfway = down / here * start + (1 - down / here) * denoised
        latents, denoised = yield halfway + noise(first, middle) * up
        down, up = _ancestral(here, there)
        whole = down / here * start + (1 - down / here) * denoised
        latents, denoised = yield whole + noise(first, last) * up


def _lcm(sigmas: Sequence[float], noise: Noise) -> Rule:
    _, denoised = yield torch.empty(0)
    for here, there in pairwise(sigmas):
        _, denoised = yield denoised + noise(here, there) * there if there else denoised


def _through_logs(here: float, there: float) -> tuple[float, float, float]:
    """Return two sigmas with their geometric mean between them, computed as k-diffusion does, in float32.

    The Brownian motion rounds to six decimals, which makes differences in the last bit of these visible.
    """
    begin, end = -torch.tensor([here, there]).log()
    first, middle, last = torch.exp(-torch.stack([begin, begin + (end - begin) * 0.5, end])).tolist()
    return first, middle, last


def _ancestral(here: float, there: float) -> tuple[float, float]:
    """Return the sigma to step down to, and that of the noise to add, of an ancestral step with eta 1."""
    up = min(there, math.sqrt(there**2 * (here**2 - there**2) / here**2))
    return math.sqrt(there**2 - up**2), up


_RULES: dict[str, Callable[[Sequence[float], Noise], Rule]] = {
    "Euler": _euler,
    "Euler a": _euler_ancestral,
    "Heun": _heun,
    "DPM++ 2M": _dpmpp_2m,
    "DPM++ 2M SDE": _dpmpp_2m_sde,
    "DPM++ SDE": _dpmpp_sde,
    "DDIM": _euler,  # without noise of its own, DDIM is Euler's method in sigma
    "LCM": _lcm,
}
SAMPLERS = tuple(_RULES)
_BROWNIAN = ("DPM++ 2M SDE", "DPM++ SDE")


class SigmaSampling:
    """Sampling of one batch from sigma to sigma; see bootstrap.models.family.Sampling."""

    def __init__(
        self,
        sampler: str,
        sigmas: Sequence[float],
        model: DiscreteSigmas,
        predicts_v: bool,
        noise: torch.Tensor,
        generators: Sequence[torch.Generator],
    ) -> None:
        """Begin a rule.

        Args:
            sampler: one of SAMPLERS.
            sigmas: before each step, and 0 at the end; those of the last steps only, for sampling from a picture.
            model: the sigmas of the base model's timesteps.
            predicts_v: whether it predicts v; otherwise noise.
            noise: (rows, channels, height, width), the initial noise.
            generators: of each row.
        """
        self._sampler, self._model, self._predicts_v, self._noise = sampler, model, predicts_v, noise
        self._levels = _levels(sampler, sigmas)
        self._at = 0  # of _levels: the next prediction
        self.timesteps = torch.tensor(
            [self._timestep(sigma) for sigma in self._levels[:-1]], device=noise.device
        )
        steps_noise = _brownian if sampler in _BROWNIAN else _independent
        self._rule = _RULES[sampler](sigmas, steps_noise(sigmas, noise, generators))
        next(self._rule)

    def begin(self, origin: torch.Tensor | None) -> torch.Tensor:
        """See Sampling."""
        return self._noise * self._levels[0] if origin is None else self.noised(origin, 0)

    def model_input(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See Sampling."""
        return latents / math.hypot(1.0, self._levels[self._at])

    def step(self, predicted: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """See Sampling."""
        sigma = self._levels[self._at]
        if self._predicts_v:
            denoised = latents / (sigma**2 + 1) - predicted * (sigma / math.hypot(1.0, sigma))
        else:
            denoised = latents - sigma * predicted
        if self._sampler == "LCM":
            scaled = float(timestep) * _LCM_SCALE
            keep = _LCM_DATA**2 / (scaled**2 + _LCM_DATA**2)
            denoised = denoised * (scaled / math.hypot(scaled, _LCM_DATA)) + latents * keep
        self._at += 1
        return self._rule.send((latents, denoised))

    def noised(self, origin: torch.Tensor, step: int) -> torch.Tensor:
        """See Sampling."""
        return origin + self._noise * self._levels[step] if self._levels[step] else origin

    def _timestep(self, sigma: float) -> float:
        if self._sampler == "LCM":
            return schedules.lcm_timestep(sigma, self._model)
        return self._model.timestep(sigma)


def _levels(sampler: str, sigmas: Sequence[float]) -> list[float]:
    """Return the sigma of each prediction, and of the result.

    Second-order samplers predict twice in each step but the last.
    """
    levels: list[float] = []
    for here, there in pairwise(sigmas):
        levels.append(here)
        if there and sampler == "Heun":
            levels.append(there)
        elif there and sampler == "DPM++ SDE":
            levels.append(_through_logs(here, there)[1])
    return [*levels, sigmas[-1]]


def _independent(
    sigmas: Sequence[float], initial: torch.Tensor, generators: Sequence[torch.Generator]
) -> Noise:
    """Noise drawn anew at each step, on the CPU: a seed gives the same picture on every machine."""

    def drawn(here: float, there: float) -> torch.Tensor:
        rows = [torch.randn(initial.shape[1:], generator=generator) for generator in generators]
        return torch.stack(rows).to(initial.device)

    return drawn


def _brownian(sigmas: Sequence[float], initial: torch.Tensor, generators: Sequence[torch.Generator]) -> Noise:
    """Noise of a Brownian motion over the schedule, on the CPU, as k-diffusion draws it for SDE samplers.

    The ends of the motion's interval decide all of its values, so they are exactly the schedule's ends.
    """
    least, most = (_as_torchsde(sigma) for sigma in (sigmas[-2], sigmas[0]))
    if least == most:  # a single step, which needs no noise
        return _independent(sigmas, initial, generators)
    seeds: Any = [generator.initial_seed() for generator in generators]
    tree = BrownianTreeNoiseSampler(torch.zeros(initial.shape), least, most, seeds)

    def drawn(here: float, there: float) -> torch.Tensor:
        begin, end = (torch.tensor(_as_torchsde(sigma), dtype=torch.float64) for sigma in (here, there))
        noise: torch.Tensor = tree(begin.clamp(least, most), end.clamp(least, most))
        return noise.to(initial.device)

    return drawn


def _as_torchsde(sigma: float) -> float:
    """Return a sigma in float32 and with six decimals, as torchsde has its times; it warns of any difference."""
    return round(float(torch.tensor(sigma)), 6)
