"""Resizing gives the best approximation, and preserves each module's scale alpha / rank."""

import pytest
import torch

from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.lora.resize import resize


def lora(rank: int = 8, conv: bool = False) -> LoraFile:
    generator = torch.Generator().manual_seed(rank)
    tail = (1, 1) if conv else ()
    module = LoraModule(
        torch.randn((rank, 20, *tail), generator=generator),
        torch.randn((30, rank, *tail), generator=generator),
        rank / 2,
    )
    small = LoraModule(
        torch.randn((2, 20), generator=generator), torch.randn((30, 2), generator=generator), 1.0
    )
    return LoraFile(
        {"lora_unet_a": module, "lora_unet_b": small}, {"ss_network_dim": str(rank), "sshs_model_hash": "x"}
    )


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("rank", [2, 3, 7])
def test_it_is_the_best_approximation_of_that_rank(rank: int, conv: bool) -> None:
    before = lora(conv=conv)
    resized = resize(before, rank)
    delta = before.modules["lora_unet_a"].delta().flatten(1).double()
    left, values, right = torch.linalg.svd(delta, full_matrices=False)
    best = left[:, :rank] @ torch.diag(values[:rank]) @ right[:rank]
    after = resized.lora.modules["lora_unet_a"]
    assert after.rank == rank
    assert after.alpha / after.rank == 0.5
    assert after.delta().shape == before.modules["lora_unet_a"].delta().shape
    assert torch.allclose(after.delta().flatten(1).double(), best, atol=1e-4)
    assert 0 < resized.kept < 1


def test_smaller_modules_stay_unchanged_and_the_old_hash_is_removed() -> None:
    before = lora()
    resized = resize(before, 4).lora
    assert resized.modules["lora_unet_b"] is before.modules["lora_unet_b"]
    assert resized.metadata["ss_network_dim"] == "4"
    assert "sshs_model_hash" not in resized.metadata


@pytest.mark.parametrize("rank", [0, -1, 8, 64])
def test_a_rank_that_is_not_smaller_is_refused(rank: int) -> None:
    with pytest.raises(UserError, match=f"--rank {rank}"):
        resize(lora(), rank)
