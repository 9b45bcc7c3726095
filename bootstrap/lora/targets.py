"""The modules of a base model that a LoRA trains or adds to, under kohya's names."""

from typing import cast

from torch import nn

from bootstrap.models.family import BaseModel


def targets_of(base: BaseModel, convolutions: bool = False) -> list[tuple[nn.Module, dict[str, str]]]:
    """Return each part of a base model with its {kohya's name: module path}: the denoiser, then the text encoders."""
    return base.family.lora_targets(base, convolutions)


def target_modules(base: BaseModel, convolutions: bool = False) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return {kohya's name: module} of the denoiser and the text encoders."""
    return {
        name: cast("nn.Linear | nn.Conv2d", model.get_submodule(path))
        for model, targets in targets_of(base, convolutions)
        for name, path in targets.items()
    }
