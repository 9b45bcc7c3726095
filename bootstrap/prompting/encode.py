"""Prompt text to embeddings, in chunks of 75 tokens as AUTOMATIC1111 does it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from bootstrap.models.conditioning import Conditioning
from bootstrap.models.loading import BaseModel
from bootstrap.prompting.chunks import Chunk, chunks_of, plain_chunks
from bootstrap.prompting.embeddings import Embedding


def token_count(base: BaseModel, text: str) -> int:
    """Return how many tokens a caption has, start and end tokens not counted."""
    return len(base.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def encode(
    base: BaseModel, texts: Sequence[str], chunks: int | None = None, clip_skip: int = 1
) -> Conditioning:
    """Encode captions with the text encoders as they are now, LoRA included; gradients flow.

    A caption is plain text: its brackets are characters like others.

    Args:
        texts: one caption for each row; one that comes several times is encoded once.
        chunks: fill up to this many chunks with empty ones; None: as many as the longest text needs.
        clip_skip: AUTOMATIC1111's and kohya's: 1 takes the last layer's output, 2 that of the layer before.
            Of Stable Diffusion XL both always take the layer before the last, whatever it says.

    Returns:
        States (len(texts), 77 * chunks, width of the text encoders together); `pooled` of the first chunk.
    """
    divided = {text: plain_chunks(base.tokenizer, text) for text in texts}
    return _encoded(base, texts, divided, chunks, clip_skip)


def tokens_of(base: BaseModel, texts: Sequence[str], chunks: int) -> torch.Tensor:
    """Return the tokens of captions, (len(texts) * chunks, 77), int64, on the text encoders' device.

    Args:
        texts: captions of at most so many chunks; others are filled up with empty ones.
    """
    divided = [plain_chunks(base.tokenizer, text) for text in texts]
    empty = plain_chunks(base.tokenizer, "") if any(len(one) < chunks for one in divided) else []
    filled = [chunk for one in divided for chunk in one + empty * (chunks - len(one))]
    return torch.tensor([chunk.tokens for chunk in filled], device=base.text_encoder.device)


def encode_tokens(
    base: BaseModel,
    tokens: torch.Tensor,
    chunks: int,
    clip_skip: int = 1,
    rows: torch.Tensor | None = None,
) -> Conditioning:
    """Encode captions whose tokens are known; `encode` gives the same of their texts. Gradients flow.

    Args:
        tokens: what `tokens_of` returned.
        chunks: of each caption.
        clip_skip: see `encode`.
        rows: which caption each row has, int64; None: each its own.
    """
    states, pooled = _states(base, tokens, None, clip_skip)
    states = states.reshape(len(tokens) // chunks, chunks * tokens.shape[-1], -1)
    if pooled is not None:
        pooled = pooled.reshape(len(states), chunks, -1)[:, 0]
    if rows is None:
        return Conditioning(states, pooled)
    return Conditioning(states[rows], None if pooled is None else pooled[rows])


def encode_prompts(
    base: BaseModel,
    texts: Sequence[str],
    chunks: int | None = None,
    clip_skip: int = 1,
    embeddings: Sequence[Embedding] = (),
) -> Conditioning:
    """Encode prompts, in which brackets and BREAK mean something: see bootstrap.prompting.parse.

    Arguments and result are those of `encode`; without such signs it gives the same, up to where chunks end.
    Vectors of the embeddings stand where their names are in a text.
    """
    divided = {text: chunks_of(base.tokenizer, text, embeddings) for text in texts}
    return _encoded(base, texts, divided, chunks, clip_skip)


def _encoded(
    base: BaseModel, texts: Sequence[str], divided: dict[str, list[Chunk]], chunks: int | None, clip_skip: int
) -> Conditioning:
    count = max(chunks or 1, *(len(one) for one in divided.values()))
    [empty] = plain_chunks(base.tokenizer, "")
    filled = [chunk for one in divided.values() for chunk in one + [empty] * (count - len(one))]
    device = base.text_encoder.device
    tokens = torch.tensor([chunk.tokens for chunk in filled], device=device)
    weighty = any(weight != 1.0 for chunk in filled for weight in chunk.weights)
    weights = torch.tensor([chunk.weights for chunk in filled], device=device) if weighty else None
    with _embeddings_in(base, [chunk.embeddings for chunk in filled]):
        states, pooled = _states(base, tokens, weights, clip_skip)
    states = states.reshape(len(divided), count * tokens.shape[-1], -1)
    if pooled is not None:
        pooled = pooled.reshape(len(divided), count, -1)[:, 0]
    if len(divided) == len(texts):
        return Conditioning(states, pooled)
    distinct = list(divided)
    rows = torch.tensor([distinct.index(text) for text in texts], device=device)
    return Conditioning(states[rows], None if pooled is None else pooled[rows])


def _states(
    base: BaseModel, tokens: torch.Tensor, weights: torch.Tensor | None, clip_skip: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Encode chunks (number, 77): states (number, 77, width), and pooled (number, width) where there is such."""
    if base.text_encoder_2 is not None:
        first = base.text_encoder(tokens, output_hidden_states=True)
        second = base.text_encoder_2(_filled_for_second(base, tokens), output_hidden_states=True)
        both = [_weighted(one.hidden_states[-2], weights) for one in (first, second)]
        return torch.cat(both, dim=-1), second.text_embeds
    if clip_skip == 1:
        return _weighted(base.text_encoder(tokens)[0], weights), None
    hidden = base.text_encoder(tokens, output_hidden_states=True).hidden_states[-clip_skip]
    # transformers 5.6 and later have no `text_model` around the layers.
    inner = getattr(base.text_encoder, "text_model", base.text_encoder)
    return _weighted(inner.final_layer_norm(hidden), weights), None


@contextmanager
def _embeddings_in(base: BaseModel, placed: list[tuple[tuple[int, Embedding], ...]]) -> Iterator[None]:
    """Have the text encoders see embeddings: for each chunk those in it, each with the place of its first vector."""
    handles = []
    for number, encoder in enumerate(base.text_encoders if any(placed) else []):

        def put(
            module: torch.nn.Module, given: Any, seen: torch.Tensor, number: int = number
        ) -> torch.Tensor:
            seen = seen.clone()
            for row, embeddings in enumerate(placed):
                for place, embedding in embeddings:
                    vectors = torch.from_numpy(embedding.vectors[number]).to(seen.device, seen.dtype)
                    seen[row, place : place + len(vectors)] = vectors
            return seen

        handles.append(encoder.get_input_embeddings().register_forward_hook(put))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _weighted(states: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Multiply each token's state with its weight, and bring each chunk's mean back to what it was.

    None stands for weights that are all 1.

    Source: stable-diffusion-webui, modules/sd_emphasis.py, `EmphasisOriginal`.
    """
    if weights is None:
        return states
    changed = states * weights.to(states.dtype)[:, :, None]
    before, after = (one.mean(dim=(1, 2), keepdim=True) for one in (states, changed))
    # A chunk without emphasis stays bit for bit what it was.
    plain = (weights == 1.0).all(dim=1)[:, None, None]
    return torch.where(plain, states, changed * (before / after))


def _filled_for_second(base: BaseModel, tokens: torch.Tensor) -> torch.Tensor:
    """The same chunks for the second text encoder, which is used to another token behind the end token."""
    assert base.tokenizer_2 is not None
    ends = tokens == base.tokenizer.eos_token_id
    return tokens.masked_fill(ends & (ends.cumsum(dim=1) > 1), base.tokenizer_2.pad_token_id)
