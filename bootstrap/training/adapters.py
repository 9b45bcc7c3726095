"""The trainable LoRA inside a base model: put in with PEFT, read out, taken out again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from bootstrap.base_model import BaseModel
from bootstrap.lora.kohya import LoraModule
from bootstrap.lora.targets import text_encoder_targets, unet_targets

_ADAPTER = "sid"


@dataclass(frozen=True)
class Adapters:
    """The LoRA's parameters, by kohya's module name."""

    down: dict[str, nn.Parameter]
    up: dict[str, nn.Parameter]
    alpha: float

    def unet_parameters(self) -> list[nn.Parameter]:
        """The parameters that unet_lr is for."""
        return [one for name, one in self._all() if name.startswith("lora_unet")]

    def text_encoder_parameters(self) -> list[nn.Parameter]:
        """The parameters that text_encoder_lr is for; none when it is frozen."""
        return [one for name, one in self._all() if not name.startswith("lora_unet")]

    def parameters(self) -> list[nn.Parameter]:
        """All of them, in a fixed order: UNet first."""
        return self.unet_parameters() + self.text_encoder_parameters()

    def _all(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name in self.down:
            yield name, self.down[name]
            yield name, self.up[name]

    def modules(self) -> dict[str, LoraModule]:
        """The LoRA as it is now, for a file."""
        return {name: LoraModule(self.down[name].data, self.up[name].data, self.alpha) for name in self.down}


@contextmanager
def injected(
    base: BaseModel, rank: int, alpha: float, with_text_encoder: bool, seed: int
) -> Iterator[Adapters]:
    """Put a fresh LoRA into the base model for the length of a `with` block.

    Down matrices start as kohya's do (Kaiming uniform, a = sqrt 5; PEFT's default too), up matrices as zeros.

    Args:
        rank: network_dim.
        alpha: network_alpha.
        with_text_encoder: train the text encoder too.
        seed: of the start values.
    """
    parts: list[tuple[nn.Module, dict[str, str]]] = [(base.unet, unet_targets(base.unet))]
    if with_text_encoder:
        parts.append((base.text_encoder, text_encoder_targets(base.text_encoder)))
    down: dict[str, nn.Parameter] = {}
    up: dict[str, nn.Parameter] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            for model, targets in parts:
                config = LoraConfig(
                    r=rank, lora_alpha=alpha, target_modules=list(targets.values()), lora_dropout=0.0
                )
                inject_adapter_in_model(config, model, adapter_name=_ADAPTER)
                for name, path in targets.items():
                    layer: Any = model.get_submodule(path)  # PEFT's Linear or Conv2d
                    down[name] = layer.lora_A[_ADAPTER].weight
                    up[name] = layer.lora_B[_ADAPTER].weight
                    for parameter in (down[name], up[name]):
                        parameter.data = parameter.data.float()  # trained in float32 whatever the base is
                        parameter.requires_grad_(True)
            yield Adapters(down, up, alpha)
        finally:
            for model, _ in parts:
                recurse_remove_peft_layers(model)
                model.requires_grad_(False)
                if hasattr(model, "peft_config"):
                    del model.peft_config
