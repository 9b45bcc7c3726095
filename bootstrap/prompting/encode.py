"""Prompt text to embeddings, in chunks of 75 tokens as AUTOMATIC1111 does it."""

from collections.abc import Sequence

import torch

from bootstrap.base_model import BaseModel
from bootstrap.conditioning import Conditioning

CHUNK = 75  # tokens between the start and the end token


def token_count(base: BaseModel, text: str) -> int:
    """Return how many tokens a prompt has, start and end tokens not counted."""
    return len(_ids(base, text))


def token_chunks(base: BaseModel, text: str) -> list[list[int]]:
    """Return the prompt's token ids in chunks of 77: start token, 75 tokens filled up with end tokens, end token."""
    ids = _ids(base, text)
    start, end = base.tokenizer.bos_token_id, base.tokenizer.eos_token_id
    pieces = [ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK)] or [[]]
    return [[start, *piece, *[end] * (CHUNK - len(piece)), end] for piece in pieces]


def encode(
    base: BaseModel, texts: Sequence[str], chunks: int | None = None, clip_skip: int = 1
) -> Conditioning:
    """Encode prompts with the text encoders as they are now, LoRA included; gradients flow.

    Args:
        texts: one prompt for each row; one that comes several times is encoded once.
        chunks: fill up to this many chunks with empty ones; None: as many as the longest text needs.
        clip_skip: AUTOMATIC1111's and kohya's: 1 takes the last layer's output, 2 that of the layer before.
            Of Stable Diffusion XL both always take the layer before the last, whatever it says.

    Returns:
        States (len(texts), 77 * chunks, width of the text encoders together); `pooled` of the first chunk.
    """
    distinct = list(dict.fromkeys(texts))
    tokens = [token_chunks(base, text) for text in distinct]
    count = max(chunks or 1, *(len(one) for one in tokens))
    empty = token_chunks(base, "")[0]
    filled = torch.tensor(
        [one + [empty] * (count - len(one)) for one in tokens], device=base.text_encoder.device
    )
    states, pooled = _states(base, filled.flatten(0, 1), clip_skip)
    states = states.reshape(len(tokens), count * filled.shape[-1], -1)
    if pooled is not None:
        pooled = pooled.reshape(len(tokens), count, -1)[:, 0]
    if len(distinct) == len(texts):
        return Conditioning(states, pooled)
    rows = torch.tensor([distinct.index(text) for text in texts], device=states.device)
    return Conditioning(states[rows], None if pooled is None else pooled[rows])


def _ids(base: BaseModel, text: str) -> list[int]:
    # `verbose` off: the tokenizer warns of more than 77 tokens, which is what the chunks are for.
    return list(base.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def _states(
    base: BaseModel, tokens: torch.Tensor, clip_skip: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Encode chunks (number, 77): states (number, 77, width), and pooled (number, width) where there is such."""
    if base.text_encoder_2 is not None:
        first = base.text_encoder(tokens, output_hidden_states=True)
        second = base.text_encoder_2(_filled_for_second(base, tokens), output_hidden_states=True)
        states = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        return states, second.text_embeds
    if clip_skip == 1:
        return base.text_encoder(tokens)[0], None
    hidden = base.text_encoder(tokens, output_hidden_states=True).hidden_states[-clip_skip]
    # transformers 5.6 and later have no `text_model` around the layers.
    inner = getattr(base.text_encoder, "text_model", base.text_encoder)
    return inner.final_layer_norm(hidden), None


def _filled_for_second(base: BaseModel, tokens: torch.Tensor) -> torch.Tensor:
    """The same chunks for the second text encoder, which is used to another token behind the end token."""
    assert base.tokenizer_2 is not None
    ends = tokens == base.tokenizer.eos_token_id
    return tokens.masked_fill(ends & (ends.cumsum(dim=1) > 1), base.tokenizer_2.pad_token_id)
