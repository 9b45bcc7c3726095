"""Z-Image's transformer, called with tensors of fixed shapes.

diffusers' own forward takes lists of latents and captions, and its control flow depends on each caption's length, so no
recording of it is right for captions of another length. This one computes the same with a number of tokens per row.
"""

from typing import Any

import torch
import torch.nn.functional as F

from bootstrap.models.families.flow_sizes import Z_IMAGE_BLOCK
from bootstrap.models.family import BaseModel
from bootstrap.models.prompt import Conditioning

_PATCH = 2


def predict(
    base: BaseModel, latents: torch.Tensor, timesteps: torch.Tensor, conditioning: Conditioning
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the predicted direction, noise minus latents, and the activations after half of the layers.

    Source: diffusers, models/transformers/transformer_z_image.py, `forward`, and its pipeline's sign and time.

    Args:
        latents: (rows, channels, height, width), noisy.
        timesteps: sigmas, (rows,), or one for all rows.
        conditioning: states (rows, tokens, width), a multiple of Z_IMAGE_BLOCK tokens, and each row's own number.

    Returns:
        float32: (rows, channels, height, width), and (rows, features, height / 2, width / 2).
    """
    model: Any = base.denoiser
    assert conditioning.pooled is not None
    dtype = base.dtype
    rows, _, height, width = latents.shape
    high, wide = height // _PATCH, width // _PATCH
    time = model.t_embedder((1 - timesteps.float()).expand(rows) * model.t_scale).to(dtype)

    lengths = conditioning.pooled.to(latents.device)
    filled = (lengths + Z_IMAGE_BLOCK - 1) // Z_IMAGE_BLOCK * Z_IMAGE_BLOCK  # of each text
    positions = torch.arange(conditioning.states.shape[1], device=latents.device)
    text = model.cap_embedder(conditioning.states.to(dtype))
    is_padding = positions >= lengths[:, None]
    text = torch.where(is_padding[:, :, None], model.cap_pad_token, text)
    # The text and what fills it up stand at positions 1 and on, the picture behind them.
    of_text = F.pad((positions + 1)[None, :, None].expand(rows, -1, 1), (0, 2))
    text_turns, text_mask = _turns(model, of_text), positions < filled[:, None]
    for layer in model.context_refiner:
        text = _call(model, layer, text, text_mask, text_turns)

    count = high * wide
    missing = -count % Z_IMAGE_BLOCK
    folded = latents.to(dtype).unflatten(3, (wide, _PATCH)).unflatten(2, (high, _PATCH))
    patches = folded.permute(0, 2, 4, 3, 5, 1).reshape(rows, count, -1)
    picture = model.all_x_embedder[f"{_PATCH}-1"](patches)
    picture = torch.cat([picture, model.x_pad_token.expand(rows, missing, -1)], dim=1)
    places = torch.cartesian_prod(torch.arange(high), torch.arange(wide)).reshape(count, 2).to(latents.device)
    first = (filled + 1)[:, None, None].expand(rows, count, 1)
    of_picture = F.pad(torch.cat([first, places.expand(rows, count, 2)], dim=2), (0, 0, 0, missing))
    picture_turns = _turns(model, of_picture)
    for layer in model.noise_refiner:
        picture = _call(model, layer, picture, None, picture_turns, time)

    tokens = torch.cat([picture, text], dim=1)
    turns = torch.cat([picture_turns, text_turns], dim=1)
    mask = torch.cat([text_mask.new_ones(rows, count + missing), text_mask], dim=1)
    half = len(model.layers) // 2
    middle = tokens
    for number, layer in enumerate(model.layers):
        tokens = _call(model, layer, tokens, mask, turns, time)
        if number + 1 == half:
            middle = tokens
    out = model.all_final_layer[f"{_PATCH}-1"](tokens[:, :count], c=time)
    unfolded = out.reshape(rows, high, wide, _PATCH, _PATCH, -1).permute(0, 5, 1, 3, 2, 4)
    activations = middle[:, :count].transpose(1, 2).unflatten(2, (high, wide))
    return -unfolded.reshape(latents.shape).float(), activations.float()


def _turns(model: Any, positions: torch.Tensor) -> torch.Tensor:
    """Return the rotary embeddings of positions (rows, tokens, 3): complex (rows, tokens, half a head's width)."""
    turns: torch.Tensor = model.rope_embedder(positions.flatten(0, 1))
    return turns.unflatten(0, positions.shape[:2])


def _call(model: Any, layer: Any, *inputs: torch.Tensor | None) -> torch.Tensor:
    result: torch.Tensor = (
        model._gradient_checkpointing_func(layer, *inputs)
        if torch.is_grad_enabled() and model.gradient_checkpointing
        else layer(*inputs)
    )
    return result
