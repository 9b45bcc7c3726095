"""Rectified flow (Liu et al. 2022, arXiv 2209.03003): the noise process, its settings in training, and its samplers.

A picture and noise are joined by a straight line: noisy = (1 - sigma) latents + sigma noise. The denoiser predicts the
line's direction, noise - latents. A timestep is a sigma, float32, from 0 (the picture) to 1 (noise).
"""

import math
from typing import Any

import torch

from bootstrap.models.family import FlowTraining


class FlowNoise:
    """The noise process; see bootstrap.models.family.NoiseProcess."""

    def __init__(self, training: FlowTraining | None = None, patch: int = 1) -> None:
        """Take the settings of a training.

        Args:
            training: None: noise is added, but no timesteps of a training are sampled.
            patch: latent pixels per token of the denoiser, along each side.
        """
        self._training, self._patch = training or FlowTraining(), patch

    def timesteps(self, count: int, generator: torch.Generator, size: tuple[int, int]) -> torch.Tensor:
        """See NoiseProcess. Source: musubi-tuner, training/trainer_base.py, `get_noisy_model_input_and_timesteps`."""
        training = self._training
        if training.timestep_sampling == "uniform":
            sigmas = torch.rand(count, generator=generator)
        elif training.timestep_sampling == "logit_normal":
            normal = torch.randn(count, generator=generator)
            sigmas = torch.sigmoid(training.logit_mean + training.logit_std * normal)
        else:
            sigmas = torch.sigmoid(training.sigmoid_scale * torch.randn(count, generator=generator))
        if training.timestep_sampling == "shift":
            return shifted(sigmas, training.discrete_flow_shift)
        if training.timestep_sampling in ("flux_shift", "flux2_shift"):
            tokens = size[0] * size[1] // self._patch**2
            return shifted(sigmas, math.exp(shift_of_length({}, tokens)))
        return sigmas

    def at(self, share: float) -> torch.Tensor:
        """See NoiseProcess."""
        return torch.tensor(share)

    def add(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """See NoiseProcess."""
        sigmas = timesteps.to(latents)[:, None, None, None]
        return (1 - sigmas) * latents + sigmas * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """See NoiseProcess."""
        return noise - latents

    def loss_weights(self, timesteps: torch.Tensor, min_snr_gamma: float | None) -> torch.Tensor | None:
        """See NoiseProcess. Source: diffusers, training_utils.py, `compute_loss_weighting_for_sd3`."""
        if self._training.weighting_scheme == "sigma_sqrt":
            return timesteps.float() ** -2.0
        if self._training.weighting_scheme == "cosmap":
            sigmas = timesteps.float()
            return 2 / (math.pi * (1 - 2 * sigmas + 2 * sigmas**2))
        return None


def shifted(sigmas: torch.Tensor, shift: float) -> torch.Tensor:
    """Return sigmas moved towards noise (shift above 1), by Stable Diffusion 3's rule (Esser et al. 2024, 5.3.2)."""
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def shift_of_length(config: dict[str, Any], tokens: int) -> float:
    """Return the mu of a scheduler with dynamic shifting: linear in the picture's number of tokens.

    Source: FLUX.1's sampling code; diffusers repeats it in each pipeline as `calculate_shift`.

    Args:
        config: of diffusers' FlowMatchEulerDiscreteScheduler.
        tokens: of the picture.
    """
    least, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (high - low) / (most - least)
    return float(tokens * slope + low - slope * least)


def schedule(config: dict[str, Any], steps: int, mu: float | None) -> torch.Tensor:
    """Return the sigmas of a sampling, (steps + 1,), float32, from noise to 0, by the model's own scheduler.

    Args:
        config: of diffusers' FlowMatchEulerDiscreteScheduler.
        steps: from 1.
        mu: the shift of a scheduler with dynamic shifting; others ignore it.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    even = torch.linspace(1.0, 1 / steps, steps).tolist()
    scheduler.set_timesteps(sigmas=even, **({} if mu is None else {"mu": mu}))
    sigmas: torch.Tensor = scheduler.sigmas
    return sigmas.float().cpu()


class FlowSampling:
    """Euler's or Heun's steps from sigma to sigma; see bootstrap.models.family.Sampling.

    Heun's predicts twice in each step but the last, as k-diffusion's `sample_heun` does.
    """

    def __init__(self, sampler: str, sigmas: torch.Tensor, last: int | None, noise: torch.Tensor) -> None:
        """Prepare the steps.

        Args:
            sampler: Euler or Heun.
            sigmas: of the whole schedule, (steps + 1,), float32.
            last: take only this many last steps, from a picture; None: all, from noise.
            noise: (rows, channels, height, width), float32.
        """
        self._levels = (sigmas if last is None else sigmas[-(last + 1) :]).to(noise.device)
        self._noise = noise
        self._is_heun = sampler == "Heun"
        self._asked: list[tuple[int, bool]] = []  # (step, whether it is the second prediction of the step)
        for step in range(len(self._levels) - 1):
            self._asked.append((step, False))
            if self._is_heun and step < len(self._levels) - 2:
                self._asked.append((step, True))
        self.timesteps = torch.stack([self._levels[step + second] for step, second in self._asked])
        self._number = 0
        self._first: tuple[torch.Tensor, torch.Tensor] | None = None  # latents and direction before the step

    def begin(self, origin: torch.Tensor | None) -> torch.Tensor:
        """See Sampling."""
        return self._noise * self._levels[0] if origin is None else self._noised(origin, 0)

    def model_input(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See Sampling."""
        return latents

    def step(self, predicted: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """See Sampling."""
        step, is_second = self._asked[self._number]
        self._number += 1
        change = self._levels[step + 1] - self._levels[step]
        if is_second:
            assert self._first is not None
            begun, direction = self._first
            return begun + change * (direction + predicted) / 2
        self._first = (latents, predicted)
        return latents + change * predicted

    def noised(self, origin: torch.Tensor, step: int) -> torch.Tensor:
        """See Sampling."""
        if step >= len(self._asked):
            return self._noised(origin, len(self._levels) - 1)
        number, is_second = self._asked[step]
        return self._noised(origin, number + is_second)

    def _noised(self, origin: torch.Tensor, level: int) -> torch.Tensor:
        sigma = self._levels[level]
        return (1 - sigma) * origin + sigma * self._noise
