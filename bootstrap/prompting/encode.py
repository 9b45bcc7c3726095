"""Prompt text to embeddings, in chunks of 75 tokens as AUTOMATIC1111 does it."""

from collections.abc import Sequence

import torch

from bootstrap.base_model import BaseModel

CHUNK = 75  # tokens between the start and the end token


def token_chunks(base: BaseModel, text: str) -> list[list[int]]:
    """Return the prompt's token ids in chunks of 77: start token, 75 tokens filled up with end tokens, end token."""
    tokenizer = base.tokenizer
    # `verbose` off: the tokenizer warns of more than 77 tokens, which is what the chunks are for.
    ids = list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    pieces = [ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK)] or [[]]
    return [[start, *piece, *[end] * (CHUNK - len(piece)), end] for piece in pieces]


def encode(base: BaseModel, texts: Sequence[str], chunks: int | None = None) -> torch.Tensor:
    """Encode prompts with the text encoder as it is now, LoRA included; gradients flow.

    Args:
        texts: one prompt for each row.
        chunks: fill up to this many chunks with empty ones; None: as many as the longest text needs.

    Returns:
        Float tensor (len(texts), 77 * chunks, width of the text encoder).
    """
    tokens = [token_chunks(base, text) for text in texts]
    count = max(chunks or 1, *(len(one) for one in tokens))
    empty = token_chunks(base, "")[0]
    filled = torch.tensor(
        [one + [empty] * (count - len(one)) for one in tokens], device=base.text_encoder.device
    )
    states = base.text_encoder(filled.flatten(0, 1))[0]
    return states.reshape(len(tokens), count * filled.shape[-1], -1)
