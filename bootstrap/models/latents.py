"""Converting pictures to latents and back, by the base model's family; all other code calls this module."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from bootstrap.errors import UserError
from bootstrap.models import denormals
from bootstrap.models.family import BaseModel


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """Return an RGB picture as float32 (3, height, width) in -1..1."""
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32))
    return pixels.permute(2, 0, 1) / 127.5 - 1.0


@torch.inference_mode()
def to_latents(base: BaseModel, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Encode pictures of one size as the latents' means: float32 (n, channels, height / factor, width / factor)."""
    pixels = torch.stack([to_tensor(picture) for picture in pictures])
    return base.family.encode_pixels(base, pixels.to(base.device))[0]


@torch.no_grad()
def distribution(base: BaseModel, picture: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of a picture's latent, each (channels, height, width), float32."""
    mean, deviation = base.family.encode_pixels(base, to_tensor(picture)[None].to(base.device))
    # Contiguous: strides determine the order of sums, and a resumed training must sum in the same order.
    return mean[0].contiguous(), deviation[0].contiguous()


@denormals.as_zero()
@torch.inference_mode()
def to_pictures(base: BaseModel, latents: torch.Tensor) -> list[Image.Image]:
    """Decode latents (n, channels, height, width) into RGB pictures."""
    pixels = base.family.decode_latents(base, latents)
    bytes_ = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture) for picture in bytes_]


def shape(base: BaseModel, width: int, height: int) -> tuple[int, int, int]:
    """Return channels, height and width of the latent for a picture of this size in pixels.

    Raises:
        UserError: a side is not a multiple of the base model's latent factor.
    """
    factor = base.geometry.latent_factor
    if width % factor or height % factor:
        raise UserError(
            f"picture of {width}x{height}: {base.spec.name} draws sides that are multiples of {factor} pixels"
        )
    return base.geometry.latent_channels, height // factor, width // factor
