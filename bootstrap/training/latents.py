"""Pictures to latents: encoded once, kept as mean and deviation so that sampling stays free."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bootstrap import images
from bootstrap.base_model import BaseModel


@dataclass(frozen=True)
class Latent:
    """The VAE's posterior of one picture, scaled as the UNet wants it."""

    mean: torch.Tensor  # (channels, height / 8, width / 8), float32
    deviation: torch.Tensor  # same shape

    def sample(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one latent from the posterior."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + self.deviation * noise.to(self.mean.device)


def training_size(picture: tuple[int, int], resolution: int, step: int) -> tuple[int, int]:
    """Return width and height to train at: about resolution x resolution pixels, in the picture's proportions.

    Args:
        picture: width and height of the original in pixels.
        resolution: side of the square whose area is aimed at.
        step: both sides are multiples of it.
    """
    width, height = picture
    scale = (resolution * resolution / (width * height)) ** 0.5
    return (max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step))


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """Return an RGB picture as float32 (3, height, width) in -1..1."""
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32))
    return pixels.permute(2, 0, 1) / 127.5 - 1.0


@torch.no_grad()
def encode(base: BaseModel, path: Path, size: tuple[int, int], mirrored: bool = False) -> Latent:
    """Encode a picture file with the VAE.

    Args:
        path: the picture.
        size: width and height in pixels that it is fitted to.
        mirrored: of its mirror image (flip_aug).

    Raises:
        UserError: the picture cannot be read.
    """
    picture = images.fit(images.open_picture(path), *size)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = to_tensor(picture)[None].to(base.vae.device, base.vae.dtype)
    posterior = base.vae.encode(pixels).latent_dist
    scale = base.vae.config["scaling_factor"]
    # Contiguous: the strides decide the order of sums, and a resumed training must sum in the same order.
    mean = (posterior.mean[0].float() * scale).contiguous()
    return Latent(mean, (posterior.std[0].float() * scale).contiguous())
