import torch

from bootstrap.models import denormals


def test_denormals_are_flushed_only_within_the_block() -> None:
    half = torch.tensor(2e-38) * 0.5
    with denormals.as_zero():
        with denormals.as_zero():
            pass
        within = torch.tensor(2e-38) * 0.5
        assert within.item() == 0
    assert half.item() > 0
    assert (torch.tensor(2e-38) * 0.5).item() > 0
