"""The modules of a base model that a LoRA trains or changes, under kohya's names."""

from typing import cast

from torch import nn

from bootstrap.models.family import BaseModel

Layer = nn.Linear | nn.Conv2d | nn.GroupNorm | nn.LayerNorm | nn.Embedding


def targets_of(base: BaseModel, convolutions: bool = False) -> list[tuple[nn.Module, dict[str, str]]]:
    """Return each part of a base model with its {kohya's name: module path}: the denoiser, then the text encoders."""
    return base.family.lora_targets(base, convolutions)


def target_modules(base: BaseModel, convolutions: bool = False) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return {kohya's name: module} of the denoiser and the text encoders that a LoRA trains."""
    return {
        name: cast("nn.Linear | nn.Conv2d", model.get_submodule(path))
        for model, targets in targets_of(base, convolutions)
        for name, path in targets.items()
    }


def layers_of(base: BaseModel) -> list[dict[str, Layer]]:
    """Return {kohya's name: layer} of all layers that a LoRA can be merged into, of each part, the denoiser first.

    These are more than a LoRA trains here: LyCORIS and full differences change every layer.
    """
    layers: list[dict[str, Layer]] = []
    # A family whose text encoders no LoRA changes does not list them among its parts.
    for model, part in zip((base.denoiser, *base.text_encoders), base.family.parts, strict=False):
        layers.append(
            {
                base.family.kohya_name(path, part): module
                for path, module in model.named_modules()
                if isinstance(module, Layer) and module.weight is not None
            }
        )
    return layers
