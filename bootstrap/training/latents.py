"""Pictures to latents: encoded once, cached as mean and deviation so that each step can sample anew."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from bootstrap import images, reading, tensor_files
from bootstrap.errors import UserError
from bootstrap.files import remove_file, sha256_of_text
from bootstrap.models import latents
from bootstrap.models.family import BaseModel
from bootstrap.training.identity import Example


@dataclass(frozen=True)
class Latent:
    """The VAE's posterior of a picture, in the scale in which noise is added."""

    mean: torch.Tensor  # (channels, height, width), float32
    deviation: torch.Tensor  # same shape

    def sample(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one latent from the posterior."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + self.deviation * noise.to(self.mean.device)


class LatentCache:
    """A cache of latents, in files named by a hash of picture, base model, size and mirroring.

    A changed picture has another hash, so a stale file is never read.
    """

    def __init__(self, base: BaseModel, folder: Path) -> None:
        self._base, self._folder = base, folder

    def latent(self, example: Example, mirrored: bool = False) -> Latent:
        """Return the latent of a picture, or of its mirror image; encode it only if it is not in the cache.

        Raises:
            UserError: the picture cannot be read.
        """
        width, height = example.size
        key = f"{example.picture_sha256} {self._base.hash} {self._base.dtype} {width}x{height} {mirrored}"
        path = self._folder / f"{sha256_of_text(key)[:32]}.safetensors"
        device = self._base.device
        if path.is_file():
            try:
                with reading.safetensors(path, f"latents {path}", "it is encoded again") as file:
                    mean, deviation = file.get_tensor("mean"), file.get_tensor("deviation")
                if mean.shape == deviation.shape and mean.dim() == 3:
                    return Latent(mean.to(device), deviation.to(device))
                remove_file(path)
            except UserError:
                remove_file(path)  # damaged by something else: whole_file leaves no partial file
        latent = encode(self._base, Path(example.path), example.size, mirrored)
        tensor_files.write(path, {"mean": latent.mean, "deviation": latent.deviation})
        return latent


def encode(base: BaseModel, path: Path, size: tuple[int, int], mirrored: bool = False) -> Latent:
    """Encode a picture file.

    Args:
        path: the picture.
        size: width and height in pixels that it is fitted to.
        mirrored: encode its mirror image (flip_aug).

    Raises:
        UserError: the picture cannot be read.
    """
    picture = images.fit(images.open_picture(path), *size)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Latent(*latents.distribution(base, picture))
