"""CLIP's text encoders with torch: chunks filled up, their weights, and embeddings among their tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from bootstrap.models.families.clip_chunks import Chunk, plain_chunks

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


def filled(tokenizer: "CLIPTokenizer", prompts: Sequence[list[Chunk]], length: int) -> list[Chunk]:
    """Return the chunks of prompts one after the other, each filled up to so many with empty ones."""
    empty = plain_chunks(tokenizer, "") if any(len(chunks) < length for chunks in prompts) else []
    return [chunk for chunks in prompts for chunk in chunks + empty * (length - len(chunks))]


def weights_of(chunks: Sequence[Chunk], device: torch.device) -> torch.Tensor | None:
    """Return the tokens' weights (chunks, 77), float32; None: all are 1."""
    weighty = any(weight != 1.0 for chunk in chunks for weight in chunk.weights)
    return torch.tensor([chunk.weights for chunk in chunks], device=device) if weighty else None


@contextmanager
def embeddings_in(encoders: Sequence[torch.nn.Module], chunks: Sequence[Chunk]) -> Iterator[None]:
    """Have the text encoders see the chunks' embeddings for the length of a `with` block."""
    placed = [chunk.embeddings for chunk in chunks]
    handles = []
    for number, encoder in enumerate(encoders if any(placed) else []):

        def put(
            module: torch.nn.Module, given: Any, seen: torch.Tensor, number: int = number
        ) -> torch.Tensor:
            seen = seen.clone()
            for row, embeddings in enumerate(placed):
                for place, embedding in embeddings:
                    vectors = torch.from_numpy(embedding.vectors[number]).to(seen.device, seen.dtype)
                    seen[row, place : place + len(vectors)] = vectors
            return seen

        handles.append(encoder.get_input_embeddings().register_forward_hook(put))  # type: ignore[operator]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weighted(states: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Multiply each token's state with its weight, and bring each chunk's mean back to what it was.

    Source: stable-diffusion-webui, modules/sd_emphasis.py, `EmphasisOriginal`.

    Args:
        states: (chunks, 77, width).
        weights: (chunks, 77); None: all are 1.
    """
    if weights is None:
        return states
    changed = states * weights.to(states.dtype)[:, :, None]
    before, after = (each.mean(dim=(1, 2), keepdim=True) for each in (states, changed))
    # A chunk without emphasis stays bit for bit what it was.
    plain = (weights == 1.0).all(dim=1)[:, None, None]
    return torch.where(plain, states, changed * (before / after))
