"""What prompts are to the UNet, and the one way in which training and drawing call it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from bootstrap.models.loading import BaseModel


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts, a row each."""

    states: torch.Tensor  # (rows, 77 * chunks, width of the text encoders)
    pooled: torch.Tensor | None  # (rows, width of the second text encoder); None: there is one text encoder


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """Return the rows of several, which have the same number of chunks."""
    pooled = [part.pooled for part in parts if part.pooled is not None]
    return Conditioning(torch.cat([part.states for part in parts]), torch.cat(pooled) if pooled else None)


def lengthened(parts: Sequence[Conditioning]) -> Conditioning:
    """Return the rows of several; the last vector of those with fewer chunks is repeated.

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
    """Return what the UNet predicts, float32: noise, or v of a v-prediction model.

    Stable Diffusion XL is told the picture's size before it was cropped, where it was cropped, and its size
    now (Podell et al. 2023, arXiv 2307.01952, section 2.2): a picture here is always one that was not cropped.

    Args:
        latents: (rows, channels, height, width), noisy.
        timesteps: (rows,), or one for all.
        conditioning: as many rows.
    """
    added = None
    if conditioning.pooled is not None:
        height, width = (side * base.vae_factor for side in latents.shape[-2:])
        sizes = _sizes(height, width, latents.device)
        added = {"text_embeds": conditioning.pooled, "time_ids": sizes.expand(len(latents), -1)}
    predicted: torch.Tensor = base.unet(
        latents.to(base.dtype), timesteps, conditioning.states, added_cond_kwargs=added, return_dict=False
    )[0]
    return predicted.float()


@lru_cache(maxsize=64)
def _sizes(height: int, width: int, device: torch.device) -> torch.Tensor:
    """What Stable Diffusion XL is told of a picture; kept, since a CUDA graph cannot fetch it from outside."""
    with torch.inference_mode(False):  # drawing makes it, training may use it
        return torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32, device=device)
