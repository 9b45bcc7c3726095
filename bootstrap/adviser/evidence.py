"""Whether the base model sees in a picture what a prompt says: it removes noise better with a true prompt.

This is the diffusion classifier (Li et al., "Your Diffusion Model is Secretly a Zero-Shot Classifier", 2023). It
needs no other model, does not mind where in the picture a thing is, and knows the words that the base model knows.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from bootstrap.models import small_cpu
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.models.latents import to_latents
from bootstrap.prompting import encode

# Shares of the noise schedule. With little noise the picture itself tells everything and the prompt is not needed.
_NOISE_LEVELS = (0.5, 0.6, 0.7, 0.8)


@torch.inference_mode()
def evidence(
    base: BaseModel,
    pictures: Sequence[Image.Image],
    prompts: Sequence[str],
    others: Sequence[str],
    batch_size: int = 16,
    clip_skip: int = 1,
) -> np.ndarray:
    """Return by how much the denoiser's error is lower with `prompts` than with `others`, (n,), mean square.

    Single values say little, as nothing fixes where zero is; the difference between two pictures does: the picture
    that shows more of what only the first prompt names has the higher value.

    Args:
        base: without any LoRA.
        pictures: RGB, of one size.
        prompts: one a picture.
        others: one a picture.
        batch_size: pictures at once.
        clip_skip: see bootstrap.prompting.encode.
    """
    found = [np.zeros(0, np.float32)]
    for first in range(0, len(pictures), batch_size):
        part = slice(first, first + batch_size)
        latents = to_latents(base, pictures[part])
        without, with_prompt = (
            _errors(base, latents, encode.encode(base, texts[part], clip_skip=clip_skip))
            for texts in (others, prompts)
        )
        found.append(without - with_prompt)
    return np.concatenate(found)


def _errors(base: BaseModel, latents: torch.Tensor, encoded: Conditioning) -> np.ndarray:
    """The denoiser's mean squared error for each latent with its encoded prompt, over _NOISE_LEVELS: (n,)."""
    process = base.family.noise(base)
    errors = torch.zeros(len(latents), device=latents.device)
    for level in _NOISE_LEVELS:
        timestep = process.at(level).to(base.device)
        # The same noise for all pictures and prompts: only what they show may make a difference.
        noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(round(1000 * level)))
        noise = noise.to(latents).expand_as(latents).contiguous()
        noisy = process.add(latents, noise, timestep[None])
        wanted = process.target(latents, noise, timestep[None])
        predicted = small_cpu.predict(base, noisy, timestep, encoded)
        errors += (predicted - wanted).square().mean((1, 2, 3))
    return (errors / len(_NOISE_LEVELS)).cpu().numpy()
