"""Layers' outputs for fixed inputs, with and without a LoRA: what a package's own forward pass is compared with."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from bootstrap.lora.merge import merged
from bootstrap.lora.modules import LoraFile
from bootstrap.lora.targets import layers_of
from bootstrap.models.family import BaseModel

Outputs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]  # input and output by kohya's name of the layer


def layers(base: BaseModel) -> dict[str, nn.Module]:
    """Return all layers of a base model, by kohya's name."""
    return {name: layer for part in layers_of(base) for name, layer in part.items()}


def input_for(layer: nn.Module, seed: int = 0) -> torch.Tensor:
    """Return a random input of a layer."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(layer, nn.Linear):
        shape: tuple[int, ...] = (3, layer.in_features)
    elif isinstance(layer, nn.Conv2d):
        shape = (2, layer.in_channels, 6, 6)
    elif isinstance(layer, nn.GroupNorm):
        shape = (2, layer.num_channels, 4, 4)
    else:
        shape = (3, *layer.normalized_shape)
    return torch.randn(shape, generator=generator)


@torch.no_grad()
def outputs(base: BaseModel, of_layer: Mapping[str, Callable[[torch.Tensor], torch.Tensor]]) -> Outputs:
    """Return input and output of each layer, as `of_layer` computes it."""
    every = layers(base)
    inputs = {name: input_for(every[name]) for name in of_layer}
    return {name: (inputs[name], forward(inputs[name]).detach()) for name, forward in of_layer.items()}


@torch.no_grad()
def assert_same(base: BaseModel, lora: LoraFile, strength: float, expected: Outputs) -> None:
    """Merge a LoRA, and compare the layers' outputs within 1e-5 of their largest value."""
    every = layers(base)
    assert set(lora.names) == set(expected)
    changed = 0
    before = {name: every[name](given) for name, (given, _) in expected.items()}
    with merged(base, [(lora, strength)]):
        for name, (given, wanted) in expected.items():
            largest = max(1.0, float(wanted.abs().max()))
            assert float((every[name](given) - wanted).abs().max()) <= 1e-5 * largest, name
            changed += not torch.allclose(before[name], wanted, atol=1e-3)
    assert changed > 0.9 * len(expected)  # so that the equality means something
