"""The loss of a step: mean squared error, each row with its weight where min_snr_gamma is set."""

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
