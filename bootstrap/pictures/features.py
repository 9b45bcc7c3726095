"""What pictures look like to a base model: vectors whose cosine says how alike two pictures are.

    vectors = embed(base, [one, other])     # (2, d), of length 1
    alike = vectors[0] @ vectors[1]         # 1: the same picture; about 0: no more alike than any two

No model of its own is needed: the activations of a denoiser say what is where in a picture (Tang et al.,
"Emergent Correspondence from Image Diffusion", 2023). Those of its middle are taken, as coarse as 4 x 4, so that
pictures of the same things in about the same places are near each other, whatever their pixels.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from bootstrap.models.family import BaseModel
from bootstrap.models.latents import to_latents
from bootstrap.prompting import encode

# A tenth of the way into the noise: the denoiser is at home there, and nearly all of the picture is still to be seen.
_NOISE_LEVEL = 0.1
_GRID = 4  # cells along each side over which activations are averaged
_SEED = 0


def embed(base: BaseModel, pictures: Sequence[Image.Image], batch_size: int = 16) -> np.ndarray:
    """Embed pictures.

    A picture's vector depends on the picture and the base model alone, within float noise. Vectors of pictures of
    different sizes can be compared, though those of one size are meant.

    Args:
        base: without any LoRA merged in, or vectors of one time would not fit those of another.
        pictures: RGB, all of one size, both sides multiples of `base.size_step`.
        batch_size: pictures at once.

    Returns:
        Float32 array (len(pictures), d), each row of length 1.
    """
    if not pictures:
        return np.zeros((0, _GRID * _GRID * base.family.activation_count(base)), np.float32)
    # What the activations of blank pictures have in common is in those of all pictures, and says nothing of them.
    blanks = [Image.new("RGB", pictures[0].size, color) for color in itertools.product((0, 255), repeat=3)]
    everything = [*blanks, *pictures]
    parts = [
        _activations(base, everything[first : first + batch_size])
        for first in range(0, len(everything), batch_size)
    ]
    activations = torch.cat(parts)
    centred = activations[len(blanks) :] - activations[: len(blanks)].mean(0)
    return F.normalize(centred, dim=1).numpy()


@torch.inference_mode()
def _activations(base: BaseModel, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """The denoiser's activations, averaged over the cells of a grid: (n, d), float32, on the CPU."""
    latents = to_latents(base, pictures)
    process = base.family.noise(base)
    timestep = process.at(_NOISE_LEVEL)
    # The same noise for all: it must not make two pictures differ.
    noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(_SEED))
    noisy = process.add(latents, noise.to(latents).expand_as(latents), timestep[None])
    nothing = encode.encode(base, [""] * len(latents))
    seen = base.family.activations(base, noisy, timestep.to(base.device), nothing)
    return F.adaptive_avg_pool2d(seen.float(), _GRID).flatten(1).cpu()
