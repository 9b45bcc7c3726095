"""Pictures to latents and back: the one place where the VAE is called."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from bootstrap.models.loading import BaseModel


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """Return an RGB picture as float32 (3, height, width) in -1..1."""
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32))
    return pixels.permute(2, 0, 1) / 127.5 - 1.0


@torch.inference_mode()
def to_latents(base: BaseModel, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Encode pictures of one size with the VAE: float32 (n, channels, height / 8, width / 8), scaled for the UNet."""
    pixels = torch.stack([to_tensor(picture) for picture in pictures]).to(base.vae.device, base.vae.dtype)
    return base.vae.encode(pixels).latent_dist.mean.float() * base.vae.config["scaling_factor"]
