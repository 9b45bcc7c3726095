"""Evidence that a picture shows what a prompt says: the base model denoises it better with a true prompt.

This is the diffusion classifier (Li et al., "Your Diffusion Model is Secretly a Zero-Shot Classifier", 2023). It needs
no other model, works wherever in the picture a thing is, and knows the words that the base model knows.
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

# Fractions of the noise schedule. With little noise the picture alone suffices, and the prompt makes no difference.
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
    """Return by how much the denoiser's mean squared error is lower with `prompts` than with `others`, (n,).

    A single value says little, as its zero is arbitrary; compare the values of two pictures: the picture that shows
    more of what only `prompts` names has the higher value.

    Args:
        base: without any LoRA.
        pictures: n RGB pictures of one size.
        prompts: one per picture.
        others: one per picture.
        batch_size: pictures evaluated at once.
        clip_skip: see bootstrap.prompting.encode.
    """
    differences = [np.zeros(0, np.float32)]
    for first in range(0, len(pictures), batch_size):
        batch = slice(first, first + batch_size)
        latents = to_latents(base, pictures[batch])
        other_errors, prompt_errors = (
            _errors(base, latents, encode.encode(base, texts[batch], clip_skip=clip_skip))
            for texts in (others, prompts)
        )
        differences.append(other_errors - prompt_errors)
    return np.concatenate(differences)


def _errors(base: BaseModel, latents: torch.Tensor, encoded: Conditioning) -> np.ndarray:
    """Return the denoiser's mean squared error for each latent and its encoded prompt, over _NOISE_LEVELS: (n,)."""
    process = base.family.noise(base)
    errors = torch.zeros(len(latents), device=latents.device)
    for level in _NOISE_LEVELS:
        timestep = process.at(level).to(base.device)
        # All pictures and prompts get the same noise, so that only their contents make a difference.
        noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(round(1000 * level)))
        noise = noise.to(latents).expand_as(latents).contiguous()
        noisy = process.add(latents, noise, timestep[None])
        target = process.target(latents, noise, timestep[None])
        predicted = small_cpu.predict(base, noisy, timestep, encoded)
        errors += (predicted - target).square().mean((1, 2, 3))
    return (errors / len(_NOISE_LEVELS)).cpu().numpy()
