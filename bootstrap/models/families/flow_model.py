"""The parts of the flow-matching families that need torch, and that they share: reading a folder, attention layers."""

from typing import Any

import torch
from torch import nn

from bootstrap.models.family import BaseModel, BaseModelSpec


def read(spec: BaseModelSpec, dtype: torch.dtype) -> Any:
    """Read a pipeline from a folder in diffusers' layout or from the hub.

    These models are made for bfloat16, and overflow float16.
    """
    from diffusers import DiffusionPipeline

    return DiffusionPipeline.from_pretrained(
        spec.source,
        local_files_only=spec.kind != "hub",
        dtype=torch.bfloat16 if dtype is torch.float16 else dtype,
        use_safetensors=True,
    )


def encode_pixels(base: BaseModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """See bootstrap.models.family.Family; of diffusers' AutoencoderKL."""
    vae: Any = base.vae
    posterior = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist
    scale, shift = vae.config["scaling_factor"], vae.config["shift_factor"] or 0.0
    return (posterior.mean.float() - shift) * scale, posterior.std.float() * scale


def decode_latents(base: BaseModel, latents: torch.Tensor) -> torch.Tensor:
    """See bootstrap.models.family.Family; of diffusers' AutoencoderKL."""
    vae: Any = base.vae
    scale, shift = vae.config["scaling_factor"], vae.config["shift_factor"] or 0.0
    pixels: torch.Tensor = vae.decode((latents / scale + shift).to(vae.dtype), return_dict=False)[0]
    return pixels.float()


def linear_paths(model: nn.Module, kinds: tuple[str, ...]) -> list[str]:
    """Return the paths of the Linear modules within blocks of these classes, in the model's order."""
    paths: dict[str, None] = {}
    for path, module in model.named_modules():
        if type(module).__name__ in kinds:
            for inner, child in module.named_modules():
                if isinstance(child, nn.Linear):
                    paths[f"{path}.{inner}"] = None
    return list(paths)
