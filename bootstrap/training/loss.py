"""The loss of a step: mean squared error, with a loss weight per row if min_snr_gamma is set."""

import torch
import torch.nn.functional as F


def weighted_mse(predicted: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the mean squared error over a batch, a scalar.

    Args:
        predicted: (batch, channels, height, width), float32.
        target: same.
        weights: (batch,), the loss weight of each picture; None: all equal.
    """
    if weights is None:
        return F.mse_loss(predicted, target)
    return (weights * (predicted - target).square().mean(dim=(1, 2, 3))).mean()
