"""A base model's features of pictures: vectors whose cosine measures how alike two pictures are.

    vectors = embed(base, [first, second])  # (2, d), of length 1
    alike = vectors[0] @ vectors[1]         # 1: the same picture; about 0: no more alike than any two

No extra model is needed: the activations of a denoiser encode what is where in a picture (Tang et al.,
"Emergent Correspondence from Image Diffusion", 2023). The activations of its middle, averaged to 4 x 4, bring pictures
of the same things in about the same places near each other, whatever their pixels.
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

# A tenth of the way into the noise: the denoiser is trained for it, and nearly all of the picture is still visible.
_NOISE_LEVEL = 0.1
_GRID = 4  # cells along each side over which activations are averaged
_SEED = 0


def embed(base: BaseModel, pictures: Sequence[Image.Image], batch_size: int = 16) -> np.ndarray:
    """Embed pictures.

    A picture's vector depends only on the picture and the base model, within float noise. Comparison is meant for
    pictures of one size, though vectors of different sizes can be compared.

    Args:
        base: without any LoRA merged in, so that vectors of different calls can be compared.
        pictures: RGB, all of one size, both sides multiples of `base.size_step`.
        batch_size: pictures embedded at once.

    Returns:
        Float32 array (len(pictures), d), each row of length 1.
    """
    if not pictures:
        return np.zeros((0, _GRID * _GRID * base.family.activation_count(base)), np.float32)
    # The mean activations of blank pictures are part of every picture's and carry no information, so subtract them.
    blanks = [Image.new("RGB", pictures[0].size, color) for color in itertools.product((0, 255), repeat=3)]
    blanks_and_pictures = [*blanks, *pictures]
    parts = [
        _activations(base, blanks_and_pictures[first : first + batch_size])
        for first in range(0, len(blanks_and_pictures), batch_size)
    ]
    activations = torch.cat(parts)
    centred = activations[len(blanks) :] - activations[: len(blanks)].mean(0)
    return F.normalize(centred, dim=1).numpy()


@torch.inference_mode()
def _activations(base: BaseModel, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Return the denoiser's activations, averaged over the cells of a grid: (n, d), float32, on the CPU."""
    latents = to_latents(base, pictures)
    process = base.family.noise(base)
    timestep = process.at(_NOISE_LEVEL)
    # All pictures get the same noise, so that noise does not make two of them differ.
    noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(_SEED))
    noisy = process.add(latents, noise.to(latents).expand_as(latents), timestep[None])
    empty_prompt = encode.encode(base, [""] * len(latents))
    activations = base.family.activations(base, noisy, timestep.to(base.device), empty_prompt)
    return F.adaptive_avg_pool2d(activations.float(), _GRID).flatten(1).cpu()
