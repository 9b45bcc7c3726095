"""Merging adds a LoRA's deltas to the weights, and restores the weights exactly afterwards."""

import pytest
import torch

from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.lora.merge import merged
from bootstrap.lora.targets import target_modules
from bootstrap.models.family import BaseModel


def random_lora(base: BaseModel, seed: int, mixed: bool = True) -> LoraFile:
    """Return a random LoRA for all modules; `mixed`: every third module has another rank and alpha."""
    generator = torch.Generator().manual_seed(seed)
    modules = {}
    for index, (name, module) in enumerate(target_modules(base).items()):
        rank, alpha = (3, 1.5) if mixed and index % 3 == 0 else (4, 2.0)
        outputs, inputs, *tail = module.weight.shape
        modules[name] = LoraModule(
            torch.randn((rank, inputs, *tail), generator=generator) * 0.05,
            torch.randn((outputs, rank, *tail), generator=generator) * 0.05,
            alpha,
        )
    return LoraFile(modules, {"ss_output_name": f"random-{seed}"})


def weights(base: BaseModel) -> dict[str, torch.Tensor]:
    return {name: module.weight.detach().clone() for name, module in target_modules(base).items()}


def test_two_loras_add_up_with_their_strengths(papertown: BaseModel) -> None:
    first, second = random_lora(papertown, 1), random_lora(papertown, 2)
    before = weights(papertown)
    with merged(papertown, [(first, 0.8), (second, 0.5)]):
        for name, weight in weights(papertown).items():
            expected = before[name] + 0.8 * first.modules[name].delta() + 0.5 * second.modules[name].delta()
            assert torch.allclose(weight, expected, atol=1e-6), name


def test_the_weights_are_restored_bit_for_bit(papertown: BaseModel) -> None:
    before = weights(papertown)
    with pytest.raises(KeyboardInterrupt), merged(papertown, [(random_lora(papertown, 3), 1.0)]):
        assert not torch.equal(next(iter(weights(papertown).values())), next(iter(before.values())))
        raise KeyboardInterrupt
    assert all(torch.equal(weight, before[name]) for name, weight in weights(papertown).items())


def test_strength_zero_is_the_base_model(papertown: BaseModel) -> None:
    before = weights(papertown)
    with merged(papertown, [(random_lora(papertown, 4), 0.0)]):
        assert all(torch.equal(weight, before[name]) for name, weight in weights(papertown).items())


def test_a_lora_of_another_model_is_refused_by_name(papertown: BaseModel) -> None:
    lora = random_lora(papertown, 5)
    lora.modules["lora_unet_down_blocks_9_proj_in"] = next(iter(lora.modules.values()))
    with pytest.raises(UserError, match=r"random-5: 102 of 103 modules fit.*lora_unet_down_blocks_9_proj_in"):
        merged(papertown, [(lora, 1.0)])


def test_a_lora_of_other_widths_is_refused_by_name(papertown: BaseModel) -> None:
    lora = random_lora(papertown, 6)
    name = next(iter(lora.modules))
    lora.modules[name] = LoraModule(torch.zeros(4, 7), torch.zeros(9, 4), 4.0)
    with pytest.raises(UserError, match=rf"{name}.*\(9, 7\)"):
        merged(papertown, [(lora, 1.0)])
