"""The modules that a LoRA trains: kohya's default set, under kohya's names."""

from typing import cast

from diffusers import UNet2DConditionModel
from torch import nn

from bootstrap.base_model import BaseModel
from bootstrap.lora.names import Part, kohya_name

_TEXT_BLOCKS = ("CLIPAttention", "CLIPSdpaAttention", "CLIPMLP")


def unet_targets(unet: UNet2DConditionModel) -> dict[str, str]:
    """Return {kohya's name: module path}: all Linear and 1x1 Conv in the transformer blocks.

    For SD1.5 these are 192 modules, for SDXL 722 (sd-scripts, networks/lora.py, `UNET_TARGET_REPLACE_MODULE`).
    """
    sdxl = unet.config["addition_embed_type"] == "text_time"
    return {kohya_name(path, "unet", sdxl): path for path in _inside(unet, ("Transformer2DModel",))}


def text_encoder_targets(
    text_encoder: nn.Module, part: Part = "text_encoder", sdxl: bool = False
) -> dict[str, str]:
    """Return {kohya's name: module path}: the Linear of attention and MLP; 72 of CLIP-L, 192 of SDXL's second.

    The names have `text_model` in them, as every other tool expects, whether or not the installed
    transformers release still has a module of that name.
    """
    return {kohya_name(path, part, sdxl): path for path in _inside(text_encoder, _TEXT_BLOCKS)}


def _inside(model: nn.Module, kinds: tuple[str, ...]) -> list[str]:
    found: dict[str, None] = {}
    for path, module in model.named_modules():
        if type(module).__name__ not in kinds:
            continue
        for inner, child in module.named_modules():
            is_small_conv = isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1)
            if isinstance(child, nn.Linear) or is_small_conv:
                found[f"{path}.{inner}"] = None
    return list(found)


def targets_of(base: BaseModel) -> list[tuple[nn.Module, dict[str, str]]]:
    """Return each part of a base model with its {kohya's name: module path}: UNet first, then text encoders."""
    parts: list[tuple[nn.Module, dict[str, str]]] = [
        (base.unet, unet_targets(base.unet)),
        (base.text_encoder, text_encoder_targets(base.text_encoder, "text_encoder", base.is_sdxl)),
    ]
    if base.text_encoder_2 is not None:
        second = text_encoder_targets(base.text_encoder_2, "text_encoder_2", sdxl=True)
        parts.append((base.text_encoder_2, second))
    return parts


def target_modules(base: BaseModel) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return {kohya's name: module} of UNet and text encoders."""
    return {
        name: cast("nn.Linear | nn.Conv2d", model.get_submodule(path))
        for model, targets in targets_of(base)
        for name, path in targets.items()
    }
