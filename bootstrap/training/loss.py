"""The loss of a step: mean squared error, weighted by noise level where min_snr_gamma is set."""

import torch
import torch.nn.functional as F


def weighted_mse(predicted: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the mean squared error over a batch, a scalar.

    Args:
        predicted: (batch, channels, height, width), float32.
        target: same.
        weights: (batch,), what each picture counts; None: all the same.
    """
    if weights is None:
        return F.mse_loss(predicted, target)
    return (weights * (predicted - target).square().mean(dim=(1, 2, 3))).mean()


def min_snr_weights(
    alphas_cumprod: torch.Tensor, timesteps: torch.Tensor, gamma: float, v_prediction: bool
) -> torch.Tensor:
    """Return the weights of Min-SNR (Hang et al. 2023, arXiv 2303.09556), (batch,).

    min(SNR, gamma) / SNR for noise prediction, and / (SNR + 1) for v-prediction, as sd-scripts has it
    (library/custom_train_functions.py, `apply_snr_weight`).

    Args:
        alphas_cumprod: of the noise schedule, (num_train_timesteps,).
        timesteps: (batch,).
        gamma: 5 in the paper.
    """
    alpha = alphas_cumprod.to(timesteps.device)[timesteps].double()
    snr = alpha / (1 - alpha).clamp(min=1e-12)
    # At zero SNR the quotient's limit is 1: nothing is clipped there.
    divisor = snr + 1 if v_prediction else snr.clamp(min=1e-12)
    return (snr.clamp(min=1e-12, max=gamma) / divisor).float()
