"""What prompts are to the denoiser, and the one way in which training and drawing call it."""

from collections.abc import Sequence

import torch

from bootstrap.models.family import BaseModel
from bootstrap.models.prompt import Conditioning as Conditioning


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """Return the rows of several, which have the same number of tokens."""
    pooled = [part.pooled for part in parts if part.pooled is not None]
    return Conditioning(torch.cat([part.states for part in parts]), torch.cat(pooled) if pooled else None)


def lengthened(parts: Sequence[Conditioning]) -> Conditioning:
    """Return the rows of several; the last vector of those with fewer tokens is repeated.

    Source: stable-diffusion-webui, modules/prompt_parser.py, `stack_conds`.
    """
    longest = max(part.states.shape[1] for part in parts)
    filled = []
    for part in parts:
        missing = longest - part.states.shape[1]
        last = part.states[:, -1:].expand(-1, missing, -1)
        filled.append(Conditioning(torch.cat([part.states, last], dim=1), part.pooled) if missing else part)
    return joined(filled)


def predict(
    base: BaseModel, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    """Return what the denoiser predicts, float32, (rows, channels, height, width).

    Args:
        latents: (rows, channels, height, width), noisy.
        timesteps: (rows,), or one for all.
        conditioning: as many rows.
    """
    return base.family.predict(base, latents, timesteps, conditioning)
