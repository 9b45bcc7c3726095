"""Encoding captions and prompts for the denoiser, by the base model's family; each distinct text is encoded once."""

from collections.abc import Mapping, Sequence

import torch

from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.models.prompt import Embedding, Prompt
from bootstrap.prompting import parse


def encode(
    base: BaseModel, texts: Sequence[str], length: int | None = None, clip_skip: int = 1
) -> Conditioning:
    """Encode captions with the text encoders' current weights, any LoRA included; gradients flow.

    A caption is plain text: its brackets have no meaning.

    Args:
        texts: one caption per row; a repeated one is encoded once.
        length: pad to this length, in the family's unit (chunks of 75 tokens for Stable Diffusion); None: to the
            longest text's.
        clip_skip: as in AUTOMATIC1111 and kohya: 1 takes the output of CLIP's last layer, 2 that of the layer before.
            Stable Diffusion XL's text encoders ignore it and use the layer before the last.
    """
    return _encoded(base, texts, {text: text for text in texts}, length, clip_skip, ())


def encode_prompts(
    base: BaseModel,
    texts: Sequence[str],
    length: int | None = None,
    clip_skip: int = 1,
    embeddings: Sequence[Embedding] = (),
) -> Conditioning:
    """Encode prompts, with the attention syntax (brackets, BREAK) of bootstrap.prompting.parse.

    Arguments and result are those of `encode`. For a text without this syntax the result is the same, except for
    where chunks end. The vectors of `embeddings` replace their names in the texts.
    """
    prompts = {text: parse.attention(text) for text in texts}
    return _encoded(base, texts, prompts, length, clip_skip, embeddings)


def length_of(base: BaseModel, text: str, embeddings: Sequence[Embedding] = ()) -> int:
    """Return the length of a prompt, in the family's unit."""
    return base.family.length(base, parse.attention(text), embeddings)


def _encoded(
    base: BaseModel,
    texts: Sequence[str],
    prompts: Mapping[str, Prompt],
    length: int | None,
    clip_skip: int,
    embeddings: Sequence[Embedding],
) -> Conditioning:
    encoded = base.family.encode(base, list(prompts.values()), length, clip_skip, embeddings)
    if len(prompts) == len(texts):
        return encoded
    distinct = list(prompts)
    return encoded.rows(torch.tensor([distinct.index(text) for text in texts], device=base.device))
