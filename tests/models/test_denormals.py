import torch

from bootstrap.models import denormals


def test_small_numbers_are_zero_within_and_themselves_after() -> None:
    half = torch.tensor(2e-38) * 0.5
    with denormals.as_zero():
        with denormals.as_zero():
            pass
        within = torch.tensor(2e-38) * 0.5
        assert within.item() == 0
    assert half.item() > 0
    assert (torch.tensor(2e-38) * 0.5).item() > 0
