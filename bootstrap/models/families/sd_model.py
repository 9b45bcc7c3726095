"""The parts of Stable Diffusion 1.x and XL that need torch: placement, latents, the UNet's call, LoRA targets."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bootstrap.models import checkpoint
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel, BaseModelSpec

_TEXT_BLOCKS = ("CLIPAttention", "CLIPSdpaAttention", "CLIPMLP")
_ATTENTION_BLOCKS = ("Transformer2DModel",)
_CONVOLUTION_BLOCKS = ("ResnetBlock2D", "Downsample2D", "Upsample2D")


def scheduler_config(spec: BaseModelSpec, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scheduler's settings, with the prediction type of the checkpoint's header or of project.toml.

    Args:
        stated: what the model's scheduler file states.
    """
    config = dict(stated)
    header = checkpoint.read(Path(spec.source)) if spec.kind == "file" else None
    if header is not None:
        config["prediction_type"] = header.prediction_type
    if spec.prediction_type is not None:
        config["prediction_type"] = spec.prediction_type
    # A model trained with zero terminal SNR must start from pure noise. Predicting the noise in that says nothing about
    # the picture, so this applies only to v-prediction.
    if header is not None and header.has_zero_snr and config["prediction_type"] == "v_prediction":
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return config


def place(base: BaseModel, device: torch.device) -> None:
    """Move the parts to a device."""
    for module in base.modules:
        module.to(device)
    if device.type == "cuda":  # on a CPU, channels_last makes a training step several times slower
        for module in base.modules[:2]:  # UNet and VAE
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def encode_pixels(base: BaseModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """See bootstrap.models.family.Family."""
    vae: Any = base.vae
    posterior = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist
    scale = vae.config["scaling_factor"]
    return posterior.mean.float() * scale, posterior.std.float() * scale


def decode_latents(base: BaseModel, latents: torch.Tensor) -> torch.Tensor:
    """See bootstrap.models.family.Family."""
    vae: Any = base.vae
    scaled = (latents / vae.config["scaling_factor"]).to(vae.dtype)
    pixels: torch.Tensor = vae.decode(scaled, return_dict=False)[0]
    return pixels.float()


def predict(
    base: BaseModel,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    conditioning: Conditioning,
    added: Mapping[str, Any] | None,
) -> torch.Tensor:
    """Return the UNet's prediction, float32: noise, or v for a v-prediction model.

    Args:
        latents: (rows, channels, height, width), noisy.
        timesteps: (rows,), or one for all rows.
        conditioning: of the same number of rows.
        added: the additional conditioning of Stable Diffusion XL's UNet.
    """
    predicted: torch.Tensor = base.denoiser(
        latents.to(base.dtype), timesteps, conditioning.states, added_cond_kwargs=added, return_dict=False
    )[0]
    return predicted.float()


@lru_cache(maxsize=64)
def sizes(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Return Stable Diffusion XL's size conditioning, (6,), float32: original size, crop offset, target size.

    Cached, because a CUDA graph cannot copy it from the CPU during capture.
    """
    with torch.inference_mode(False):  # drawing may create the tensor and training use it
        return torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32, device=device)


def activations(
    base: BaseModel, latents: torch.Tensor, timestep: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    """Return the middle block's output, (rows, channels, height, width)."""
    unet: Any = base.denoiser
    outputs: list[torch.Tensor] = []
    hook = unet.mid_block.register_forward_hook(lambda module, args, output: outputs.append(output))
    try:
        base.family.predict(base, latents, timestep, conditioning)
    finally:
        hook.remove()
    return outputs[0]


def activation_count(base: BaseModel) -> int:
    """Return the number of the middle block's channels."""
    unet: Any = base.denoiser
    return int(unet.config["block_out_channels"][-1])


def unet_modules(unet: nn.Module, convolutions: bool) -> list[str]:
    """Return the paths of the modules that a LoRA trains, or with `convolutions` a LoCon."""
    paths = _inside(unet, _ATTENTION_BLOCKS)
    if convolutions:
        paths += _inside(unet, _CONVOLUTION_BLOCKS, small_only=False)
    return paths


def text_modules(text_encoder: nn.Module) -> list[str]:
    """Return the paths of the modules that a LoRA trains."""
    return _inside(text_encoder, _TEXT_BLOCKS)


def _inside(model: nn.Module, kinds: tuple[str, ...], small_only: bool = True) -> list[str]:
    paths: dict[str, None] = {}
    for path, module in model.named_modules():
        if type(module).__name__ not in kinds:
            continue
        for inner, child in module.named_modules():
            is_conv = isinstance(child, nn.Conv2d) and (child.kernel_size == (1, 1) or not small_only)
            if isinstance(child, nn.Linear) or is_conv:
                paths[f"{path}.{inner}"] = None
    return list(paths)
