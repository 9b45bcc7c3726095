"""Z-Image's attention in plain operations, for training on a CPU: the same values in less time.

The fused kernel's backward pass and products of complex numbers are slow there.
"""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


class PlainProcessor:
    """An attention processor for the blocks of `ZImageTransformer2DModel`; masks are (rows, tokens), of booleans."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Tensor | None = None,
    ) -> Tensor:
        if freqs_cis is None:
            raise ValueError("attention in plain operations needs positions")
        heads = (attn.heads, -1)
        query = attn.norm_q(attn.to_q(hidden_states).unflatten(-1, heads))
        key = attn.norm_k(attn.to_k(hidden_states).unflatten(-1, heads))
        value = attn.to_v(hidden_states).unflatten(-1, heads)
        cosines, sines = (part.to(value.dtype).unsqueeze(2) for part in (freqs_cis.real, freqs_cis.imag))
        query, key = (_turned(states, cosines, sines).transpose(1, 2) for states in (query, key))
        scale = query.shape[-1] ** -0.5
        scores = (query * scale) @ key.transpose(2, 3)
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask[:, None, None, :], float("-inf"))
        shares = torch.softmax(scores, dim=-1, dtype=torch.float32)
        mixed = shares.to(value.dtype) @ value.transpose(1, 2)
        out: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
        return out


def _turned(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate each pair of neighbouring channels: (rows, tokens, heads, channels)."""
    even, odd = states.to(cosines.dtype).unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cosines - odd * sines, even * sines + odd * cosines), -1).flatten(3)


def use_plain_attention(transformer: nn.Module) -> None:
    """Let all blocks of a transformer attend in plain operations, in place."""
    for module in transformer.modules():
        if isinstance(module, Attention):
            module.set_processor(PlainProcessor())
