"""The modules that a LoRA trains or adds to, under kohya's names."""

from typing import cast

from diffusers import UNet2DConditionModel
from torch import nn

from bootstrap.lora.names import Part, kohya_name
from bootstrap.models.loading import BaseModel

_TEXT_BLOCKS = ("CLIPAttention", "CLIPSdpaAttention", "CLIPMLP")


_ATTENTION_BLOCKS = ("Transformer2DModel",)
_CONVOLUTION_BLOCKS = ("ResnetBlock2D", "Downsample2D", "Upsample2D")


def unet_targets(unet: UNet2DConditionModel, convolutions: bool = False) -> dict[str, str]:
    """Return {kohya's name: module path}: all Linear and 1x1 Conv in the transformer blocks.

    For SD1.5 these are 192 modules, for SDXL 722 (sd-scripts, networks/lora.py, `UNET_TARGET_REPLACE_MODULE`).

    Args:
        convolutions: the residual blocks and the ways up and down too, as with kohya's conv_dim
            (`UNET_TARGET_REPLACE_MODULE_CONV2D_3X3`): a LoCon. 278 modules for SD1.5, 788 for SDXL.
    """
    sdxl = _is_sdxl(unet)
    found = {kohya_name(path, "unet", sdxl): path for path in _inside(unet, _ATTENTION_BLOCKS)}
    if convolutions:
        every = _inside(unet, _CONVOLUTION_BLOCKS, small_only=False)
        found |= {kohya_name(path, "unet", sdxl): path for path in every}
    return found


def text_encoder_targets(
    text_encoder: nn.Module, part: Part = "text_encoder", sdxl: bool = False
) -> dict[str, str]:
    """Return {kohya's name: module path}: the Linear of attention and MLP; 72 of CLIP-L, 192 of SDXL's second.

    The names have `text_model` in them, as every other tool expects, whether or not the installed
    transformers release still has a module of that name.
    """
    return {kohya_name(path, part, sdxl): path for path in _inside(text_encoder, _TEXT_BLOCKS)}


def _inside(model: nn.Module, kinds: tuple[str, ...], small_only: bool = True) -> list[str]:
    found: dict[str, None] = {}
    for path, module in model.named_modules():
        if type(module).__name__ not in kinds:
            continue
        for inner, child in module.named_modules():
            is_conv = isinstance(child, nn.Conv2d) and (child.kernel_size == (1, 1) or not small_only)
            if isinstance(child, nn.Linear) or is_conv:
                found[f"{path}.{inner}"] = None
    return list(found)


def targets_of(base: BaseModel, convolutions: bool = False) -> list[tuple[nn.Module, dict[str, str]]]:
    """Return each part of a base model with its {kohya's name: module path}: UNet first, then text encoders."""
    parts: list[tuple[nn.Module, dict[str, str]]] = [
        (base.unet, unet_targets(base.unet, convolutions)),
        (base.text_encoder, text_encoder_targets(base.text_encoder, "text_encoder", base.is_sdxl)),
    ]
    if base.text_encoder_2 is not None:
        second = text_encoder_targets(base.text_encoder_2, "text_encoder_2", sdxl=True)
        parts.append((base.text_encoder_2, second))
    return parts


def target_modules(base: BaseModel, convolutions: bool = False) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return {kohya's name: module} of UNet and text encoders."""
    return {
        name: cast("nn.Linear | nn.Conv2d", model.get_submodule(path))
        for model, targets in targets_of(base, convolutions)
        for name, path in targets.items()
    }


def _is_sdxl(unet: UNet2DConditionModel) -> bool:
    return bool(unet.config["addition_embed_type"] == "text_time")
