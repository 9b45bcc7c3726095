"""Captions and prompts to what the denoiser is given, by the base model's family; each text is encoded once."""

from collections.abc import Mapping, Sequence

import torch

from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.models.prompt import Embedding, Prompt
from bootstrap.prompting import parse


def encode(
    base: BaseModel, texts: Sequence[str], length: int | None = None, clip_skip: int = 1
) -> Conditioning:
    """Encode captions with the text encoders as they are now, LoRA included; gradients flow.

    A caption is plain text: its brackets are characters like others.

    Args:
        texts: one caption for each row; one that comes several times is encoded once.
        length: fill up to this length, in the family's unit (of Stable Diffusion, chunks of 75 tokens); None: to that
            of the longest text.
        clip_skip: AUTOMATIC1111's and kohya's: 1 takes the last layer's output of CLIP, 2 that of the layer before.
            Of Stable Diffusion XL both always take the layer before the last, whatever it says.
    """
    return _encoded(base, texts, {text: text for text in texts}, length, clip_skip, ())


def encode_prompts(
    base: BaseModel,
    texts: Sequence[str],
    length: int | None = None,
    clip_skip: int = 1,
    embeddings: Sequence[Embedding] = (),
) -> Conditioning:
    """Encode prompts, in which brackets and BREAK mean something: see bootstrap.prompting.parse.

    Arguments and result are those of `encode`; without such signs it gives the same, up to where chunks end.
    Vectors of the embeddings stand where their names are in a text.
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
