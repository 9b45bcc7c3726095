"""The noise process of models with a discrete schedule (DDPM): adding noise in training, and the denoiser's target."""

from typing import Any

import torch
from diffusers import DDPMScheduler


class DiscreteNoise:
    """The noise process that a diffusers scheduler's settings describe; see bootstrap.models.family.NoiseProcess.

    Timesteps are int64, from 0 (the picture) to num_train_timesteps - 1.
    """

    def __init__(self, scheduler_config: dict[str, Any]) -> None:
        self._scheduler = DDPMScheduler.from_config(scheduler_config)
        self._count = int(self._scheduler.config["num_train_timesteps"])
        self._predicts_v = scheduler_config.get("prediction_type", "epsilon") == "v_prediction"

    def timesteps(self, count: int, generator: torch.Generator, size: tuple[int, int]) -> torch.Tensor:
        """See NoiseProcess."""
        return torch.randint(0, self._count, (count,), generator=generator)

    def at(self, share: float) -> torch.Tensor:
        """See NoiseProcess."""
        return torch.tensor(round(share * self._count))

    def add(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """See NoiseProcess."""
        noisy: torch.Tensor = self._scheduler.add_noise(latents, noise, timesteps)
        return noisy

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """See NoiseProcess."""
        if not self._predicts_v:
            return noise
        velocity: torch.Tensor = self._scheduler.get_velocity(latents, noise, timesteps)
        return velocity

    def loss_weights(self, timesteps: torch.Tensor, min_snr_gamma: float | None) -> torch.Tensor | None:
        """See NoiseProcess."""
        if min_snr_gamma is None:
            return None
        return min_snr_weights(self._scheduler.alphas_cumprod, timesteps, min_snr_gamma, self._predicts_v)


def min_snr_weights(
    alphas_cumprod: torch.Tensor, timesteps: torch.Tensor, gamma: float, v_prediction: bool
) -> torch.Tensor:
    """Return the loss weights of Min-SNR (Hang et al. 2023, arXiv 2303.09556), (batch,), float32.

    min(SNR, gamma) / SNR for noise prediction and min(SNR, gamma) / (SNR + 1) for v-prediction, as in sd-scripts
    (library/custom_train_functions.py, `apply_snr_weight`).

    Args:
        alphas_cumprod: of the noise schedule, (num_train_timesteps,).
        timesteps: (batch,).
        gamma: 5 in the paper.
    """
    alpha = alphas_cumprod.to(timesteps.device)[timesteps].double()
    snr = alpha / (1 - alpha).clamp(min=1e-12)
    # Clamped above 0: for noise prediction, the quotient's limit at zero SNR is 1.
    divisor = snr + 1 if v_prediction else snr.clamp(min=1e-12)
    return (snr.clamp(min=1e-12, max=gamma) / divisor).float()
