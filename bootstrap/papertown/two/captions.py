"""Captions of Paper Town Two as token ids, in the chat template, as a training step needs them."""

from __future__ import annotations

import numpy as np
from transformers import Qwen2Tokenizer

LENGTH = 64  # tokens of the longest caption of the world, with those of the template, and a few to spare


def templated(tokenizer: Qwen2Tokenizer, caption: str) -> str:
    """Return a caption in the tokenizer's chat template, as Z-Image's pipeline does."""
    message = [{"role": "user", "content": caption}]
    text = tokenizer.apply_chat_template(
        message, tokenize=False, add_generation_prompt=True, enable_thinking=True
    )
    assert isinstance(text, str)
    return text


class CaptionTokens:
    """Token ids of captions, assembled from those of their tags: tokenizing each caption would take too long."""

    def __init__(self, tokenizer: Qwen2Tokenizer, tag_lists: list[list[str]]) -> None:
        known = sorted({tag for tags in tag_lists for tag in tags})
        self._first = {tag: tokenizer(tag).input_ids for tag in known}
        self._later = {tag: tokenizer(f", {tag}").input_ids for tag in known}
        begin, end = templated(tokenizer, "\0").split("\0")
        self._begin, self._end = tokenizer(begin).input_ids, tokenizer(end).input_ids
        self._padding = tokenizer.pad_token_id

    def __call__(self, tags: list[str]) -> tuple[np.ndarray, int]:
        """Return the ids of `", ".join(tags)` in the template, (LENGTH,), int64, padded, and how many they are."""
        ids = list(self._begin)
        for number, tag in enumerate(tags):
            ids += self._later[tag] if number else self._first[tag]
        ids += self._end
        if len(ids) > LENGTH:
            raise ValueError(f"a caption of {len(ids)} tokens; {LENGTH} fit: {', '.join(tags)}")
        return np.array(ids + [self._padding] * (LENGTH - len(ids))), len(ids)
