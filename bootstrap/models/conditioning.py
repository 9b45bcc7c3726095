"""Batching encoded prompts, and the denoiser's call, shared by training and drawing."""

from collections.abc import Sequence

import torch

from bootstrap.models.family import BaseModel
from bootstrap.models.prompt import Conditioning as Conditioning


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """Concatenate the rows of conditionings with the same number of tokens."""
    pooled = [part.pooled for part in parts if part.pooled is not None]
    return Conditioning(torch.cat([part.states for part in parts]), torch.cat(pooled) if pooled else None)


def lengthened(parts: Sequence[Conditioning]) -> Conditioning:
    """Concatenate the rows of conditionings; those with fewer tokens are padded by repeating their last vector.

    Source: stable-diffusion-webui, modules/prompt_parser.py, `stack_conds`.
    """
    longest = max(part.states.shape[1] for part in parts)
    padded = []
    for part in parts:
        missing = longest - part.states.shape[1]
        last = part.states[:, -1:].expand(-1, missing, -1)
        padded.append(Conditioning(torch.cat([part.states, last], dim=1), part.pooled) if missing else part)
    return joined(padded)


def predict(
    base: BaseModel, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    """Return the denoiser's prediction, float32, (rows, channels, height, width).

    Args:
        latents: (rows, channels, height, width), noisy.
        timesteps: (rows,), or one for all rows.
        conditioning: of the same number of rows.
    """
    return base.family.predict(base, latents, timesteps, conditioning)
