"""Min-SNR weights against the formula, at every noise level."""

import pytest
import torch

from bootstrap.models.noise import min_snr_weights
from bootstrap.training.loss import weighted_mse

STEPS = torch.arange(1000)


def alphas_cumprod(zero_snr: bool) -> torch.Tensor:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = (1 - betas).cumprod(0)
    if zero_snr:
        alphas[-1] = 0.0
    return alphas.float()


@pytest.mark.parametrize("gamma", [1.0, 5.0, 20.0])
def test_noise_prediction(gamma: float) -> None:
    alphas = alphas_cumprod(zero_snr=False)
    weights = min_snr_weights(alphas, STEPS, gamma, v_prediction=False)
    snr = alphas / (1 - alphas)
    assert torch.allclose(weights, torch.clamp(snr, max=gamma) / snr, rtol=1e-4)
    assert weights.max() <= 1.0 + 1e-6
    assert weights[0] < 0.1  # almost no noise: small weight


def test_v_prediction_with_zero_terminal_snr() -> None:
    alphas = alphas_cumprod(zero_snr=True)
    weights = min_snr_weights(alphas, STEPS, 5.0, v_prediction=True)
    snr = alphas / (1 - alphas)
    assert torch.allclose(weights, torch.clamp(snr, max=5.0) / (snr + 1), atol=1e-6)
    assert torch.isfinite(weights).all()
    assert torch.isfinite(min_snr_weights(alphas, STEPS, 5.0, v_prediction=False)).all()


def test_each_picture_has_its_loss_weight() -> None:
    predicted, target = torch.zeros(2, 1, 2, 2), torch.stack([torch.ones(1, 2, 2), 3 * torch.ones(1, 2, 2)])
    assert weighted_mse(predicted, target, None) == 5.0
    assert weighted_mse(predicted, target, torch.ones(2)) == 5.0
    assert weighted_mse(predicted, target, torch.tensor([1.0, 0.0])) == 0.5
