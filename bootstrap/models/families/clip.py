"""CLIP's text encoders with torch: padding prompts to whole chunks, token weights, and inserting embeddings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from bootstrap.models.families.clip_chunks import Chunk, plain_chunks

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


def filled(tokenizer: "CLIPTokenizer", prompts: Sequence[list[Chunk]], length: int) -> list[Chunk]:
    """Return the chunks of prompts in sequence, each prompt padded with empty chunks to `length` chunks."""
    empty = plain_chunks(tokenizer, "") if any(len(chunks) < length for chunks in prompts) else []
    return [chunk for chunks in prompts for chunk in chunks + empty * (length - len(chunks))]


def weights_of(chunks: Sequence[Chunk], device: torch.device) -> torch.Tensor | None:
    """Return the tokens' weights (chunks, 77), float32; None: all are 1."""
    has_emphasis = any(weight != 1.0 for chunk in chunks for weight in chunk.weights)
    return torch.tensor([chunk.weights for chunk in chunks], device=device) if has_emphasis else None


@contextmanager
def embeddings_in(encoders: Sequence[torch.nn.Module], chunks: Sequence[Chunk]) -> Iterator[None]:
    """Replace the chunks' placeholder tokens with their embeddings' vectors within a `with` block."""
    chunk_embeddings = [chunk.embeddings for chunk in chunks]
    handles = []
    for number, encoder in enumerate(encoders if any(chunk_embeddings) else []):

        def insert(
            module: torch.nn.Module, args: Any, token_vectors: torch.Tensor, number: int = number
        ) -> torch.Tensor:
            replaced = token_vectors.clone()
            for row, embeddings in enumerate(chunk_embeddings):
                for position, embedding in embeddings:
                    vectors = torch.from_numpy(embedding.vectors[number]).to(replaced.device, replaced.dtype)
                    replaced[row, position : position + len(vectors)] = vectors
            return replaced

        handles.append(encoder.get_input_embeddings().register_forward_hook(insert))  # type: ignore[operator]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weighted(states: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Multiply each token's state by its weight, and rescale each chunk to its previous mean.

    Source: stable-diffusion-webui, modules/sd_emphasis.py, `EmphasisOriginal`.

    Args:
        states: (chunks, 77, width).
        weights: (chunks, 77); None: all are 1.
    """
    if weights is None:
        return states
    scaled = states * weights.to(states.dtype)[:, :, None]
    mean_before, mean_after = (tensor.mean(dim=(1, 2), keepdim=True) for tensor in (states, scaled))
    # A chunk without emphasis stays bit-identical.
    has_no_emphasis = (weights == 1.0).all(dim=1)[:, None, None]
    return torch.where(has_no_emphasis, states, scaled * (mean_before / mean_after))
