"""The parts of FLUX.2 klein that need torch: latents, and the transformer's call."""

from typing import Any

import torch
import torch.nn.functional as F

from bootstrap.models.families.flow_sizes import FLUX2_PACKED
from bootstrap.models.family import BaseModel
from bootstrap.models.prompt import Conditioning


def encode_pixels(base: BaseModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """See bootstrap.models.family.Family. Source: diffusers, pipeline_flux2_klein.py, `_encode_vae_image`."""
    vae: Any = base.vae
    posterior = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist
    mean, scale = _normalization(base)
    packed_mean, packed_deviation = (
        F.pixel_unshuffle(part.float(), FLUX2_PACKED) for part in (posterior.mean, posterior.std)
    )
    return (packed_mean - mean) / scale, packed_deviation / scale


def decode_latents(base: BaseModel, latents: torch.Tensor) -> torch.Tensor:
    """See bootstrap.models.family.Family."""
    vae: Any = base.vae
    mean, scale = _normalization(base)
    unpacked = F.pixel_shuffle(latents * scale + mean, FLUX2_PACKED)
    pixels: torch.Tensor = vae.decode(unpacked.to(vae.dtype), return_dict=False)[0]
    return pixels.float()


def _normalization(base: BaseModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of the packed latents' channels, (1, channels, 1, 1), float32."""
    vae: Any = base.vae
    mean, variance = vae.bn.running_mean.float(), vae.bn.running_var.float()
    return mean.view(1, -1, 1, 1), torch.sqrt(variance + vae.config["batch_norm_eps"]).view(1, -1, 1, 1)


def predict(
    base: BaseModel, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    """Return the predicted direction, noise minus latents, float32.

    Args:
        latents: (rows, channels, height, width), noisy.
        timesteps: sigmas, (rows,), or one for all rows.
        conditioning: states (rows, tokens, width).
    """
    rows, _, height, width = latents.shape
    device = latents.device
    text = torch.arange(conditioning.states.shape[1], device=device)
    high, wide = torch.arange(height, device=device), torch.arange(width, device=device)
    zero = torch.zeros(1, dtype=torch.int64, device=device)
    predicted: torch.Tensor = base.denoiser(
        hidden_states=latents.to(base.dtype).flatten(2).transpose(1, 2),
        encoder_hidden_states=conditioning.states.to(base.dtype),
        timestep=timesteps.to(device, base.dtype).expand(rows),
        img_ids=torch.cartesian_prod(zero, high, wide, zero),  # time, height, width, place in the text
        txt_ids=torch.cartesian_prod(zero, zero, zero, text),
        return_dict=False,
    )[0]
    return predicted.transpose(1, 2).unflatten(2, (height, width)).float()


def activations(
    base: BaseModel, latents: torch.Tensor, timestep: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    """Return the picture's tokens after the last double block, (rows, features, height, width)."""
    transformer: Any = base.denoiser
    outputs: list[torch.Tensor] = []
    last = transformer.transformer_blocks[-1]
    hook = last.register_forward_hook(lambda module, args, output: outputs.append(output[1]))
    try:
        predict(base, latents, timestep, conditioning)
    finally:
        hook.remove()
    return outputs[0].transpose(1, 2).unflatten(2, tuple(latents.shape[-2:])).float()
