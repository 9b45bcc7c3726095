"""What `sid lora convert` and `resize` write has one alpha for all modules, adds the same, and loses no digits."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.lora import alphas, formats, kohya
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.lora.resize import resize
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.family import BaseModel
from tests.lora.test_merge import random_lora


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main.app, ["lora", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def alphas_in(path: Path) -> set[float]:
    return {float(tensor) for name, tensor in load_file(path).items() if name.endswith(".alpha")}


@pytest.fixture
def mixed(papertown: BaseModel, tmp_path: Path) -> Path:
    """A file with alphas of 1.5 and 2 at ranks of 3 and 4, in float16."""
    kohya.write(
        tmp_path / "mixed.safetensors", random_lora(papertown, 7).modules, {"ss_network_alpha": "2.0"}
    )
    assert alphas_in(tmp_path / "mixed.safetensors") == {1.5, 2.0}
    return tmp_path / "mixed.safetensors"


@pytest.mark.parametrize("verb", [("convert", "--to", "kohya"), ("resize", "--rank", "3")])
def test_diffusers_draws_each_module_as_it_is(
    papertown: BaseModel, tmp_path: Path, mixed: Path, verb: tuple[str, ...]
) -> None:
    out = tmp_path / "out.safetensors"
    run(verb[0], mixed, out, *verb[1:])
    assert len(alphas_in(out)) == 1
    assert formats.read(out).metadata["ss_network_alpha"] == str(alphas_in(out).pop())
    before = formats.read(mixed)
    expected = resize(before, 3).lora if verb[0] == "resize" else before
    pipeline = StableDiffusionPipeline.from_pretrained(
        papertown.spec.source, safety_checker=None, local_files_only=True, dtype=torch.float32
    )
    pipeline.load_lora_weights(str(out), adapter_name="a")
    for model, targets in (
        (pipeline.unet, SD1.unet_targets(papertown.denoiser)),
        (pipeline.text_encoder, SD1.text_encoder_targets(papertown.text_encoders[0])),
    ):
        for name, path in targets.items():
            delta, wanted = (
                model.get_submodule(path).get_delta_weight("a").detach(),
                expected.modules[name].delta(),
            )
            assert float((delta - wanted).norm() / wanted.norm()) < 1e-3, name


def test_a_file_with_one_alpha_stays_bit_for_bit(papertown: BaseModel, tmp_path: Path) -> None:
    kohya.write(tmp_path / "a.safetensors", random_lora(papertown, 7, mixed=False).modules, {})
    run("convert", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--to", "kohya")
    before, after = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before | after)


@settings(max_examples=40, deadline=None)
@given(power=st.integers(-10, 12), size=st.integers(-10, 2), seed=st.integers(0, 99))
def test_a_power_of_two_keeps_every_digit_of_float16(power: int, size: int, seed: int) -> None:
    """Folded into `up` alone, small values would become subnormal; shared, both matrices keep all digits.

    The smallest numbers leave room for 2**-10 before they are subnormal: 2**-6 in `down` and 2**-4 in `up`.
    """
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn((4, 16), generator=generator).half()
    up = (torch.randn((12, 4), generator=generator) * 2.0**size).half()
    up = torch.where(up.abs() < 2.0**-10, torch.tensor(2.0**-10).half(), up)  # normal numbers
    down = torch.where(down.abs() < 2.0**-8, torch.tensor(2.0**-8).half(), down)
    module = LoraModule(down, up, 4.0 * 2.0**power)
    changed = alphas.with_alpha(module, 4.0)
    assert changed.alpha == 4.0
    assert torch.equal(changed.delta(), module.delta())


@pytest.mark.parametrize("alpha", [0.37, 1e-3, 48.0, 3e-5])
def test_another_factor_is_rounded_once(alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    module = LoraModule(
        torch.randn((4, 32), generator=generator).half(), (0.01 * torch.randn((16, 4), generator=generator)).half(),
        alpha,
    )  # fmt: skip
    changed = alphas.with_alpha(module, 4.0)
    assert float((changed.delta() - module.delta()).norm() / module.delta().norm()) < 1e-3


def test_the_most_common_alpha_is_kept_and_an_alpha_of_zero_is_nothing() -> None:
    def module(alpha: float) -> LoraModule:
        return LoraModule(torch.ones(2, 3), torch.ones(4, 2), alpha)

    lora = LoraFile(
        {"a": module(1.0), "b": module(2.0), "c": module(2.0), "d": module(0.0), "e": module(-1.0)}, {}
    )
    unified = alphas.unified(lora).modules
    assert {each.alpha for each in unified.values()} == {2.0}
    for name, each in unified.items():
        assert torch.allclose(each.delta(), lora.modules[name].delta()), name


def test_a_rank_beyond_a_layer_is_cut_to_it() -> None:
    """As files that were extracted with a dim larger than the layer (sd-scripts, issue 325)."""
    generator = torch.Generator().manual_seed(0)
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    wide = LoraModule(
        torch.randn((96, 32), generator=generator), torch.randn((40, 96), generator=generator), 48.0
    )
    tall = LoraModule(
        torch.randn((96, 64, 3, 3), generator=generator),
        torch.randn((24, 96, 1, 1), generator=generator),
        96.0,
    )
    resized = resize(LoraFile({name: wide, "tall": tall}, {}), 80).lora.modules
    for key, rank in ((name, 32), ("tall", 24)):
        before, after = (wide if key == name else tall), resized[key]
        assert after.rank == rank
        assert after.alpha / after.rank == before.alpha / before.rank
        assert float((after.delta() - before.delta()).norm() / before.delta().norm()) < 1e-5
