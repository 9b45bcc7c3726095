"""Prompts unrelated to a caption, to measure whether a LoRA leaves them unchanged."""

import re

from bootstrap.models.family import BaseModelSpec

_PLAIN = (
    "a red fox in a snowy forest",
    "an old lighthouse on a cliff by the sea",
    "a bowl of soup on a kitchen table",
    "a sports car on a desert road",
    "portrait of an old man with a grey beard",
    "a city street at night, rain, neon lights",
    "a castle in green mountains",
    "a bouquet of sunflowers in a vase",
)


def unrelated(base: BaseModelSpec, caption: str, count: int) -> list[str]:
    """Return the `count` prompts that share the fewest words with the caption, from those that the model can draw."""
    known = base.other_prompts or _PLAIN
    return sorted(known, key=lambda prompt: len(_words(prompt) & _words(caption)))[:count]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold())) - {"a", "an", "the", "of", "in", "on", "with", "by", "at"}
