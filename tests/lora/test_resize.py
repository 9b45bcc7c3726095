"""Resizing gives the best approximation, and preserves each module's scale alpha / rank."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.errors import UserError
from bootstrap.lora import kohya
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


def test_converted_or_resized_twice_a_file_is_the_same(tmp_path: Path) -> None:
    """The same bytes: the order of the metadata is no chance, and no time is among them."""
    source = tmp_path / "whole.safetensors"
    modules = {
        f"lora_unet_mid_block_attentions_0_proj_{name}": lora().modules["lora_unet_a"]
        for name in ("in", "out")
    }
    kohya.write(source, modules, {f"ss_note_{number}": str(number) for number in range(9)})
    for verb in (("convert", "--to", "kohya"), ("convert", "--to", "diffusers"), ("resize", "--rank", "3")):
        written = [tmp_path / f"{number}.safetensors" for number in range(2)]
        for path in written:
            ran = CliRunner().invoke(main.app, ["lora", verb[0], str(source), str(path), *verb[1:]])
            assert ran.exit_code == 0, ran.output
        assert written[0].read_bytes() == written[1].read_bytes(), verb
