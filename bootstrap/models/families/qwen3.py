"""Qwen3 as a text encoder: a prompt as the user's message of its chat template, and the states of chosen layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.errors import UserError, in_one_line
from bootstrap.models.prompt import CHUNK_END, Embedding, Prompt

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

LENGTH = 512  # tokens that the families' pipelines read, the template's included
_MOST_OF_TEMPLATE = 100  # tokens of the template itself, about 20 in the published tokenizers


def plain_text(prompt: Prompt, title: str) -> str:
    """Return a prompt's text.

    Raises:
        ValueError: words have weights, or BREAK parts it; the text encoder reads neither.
    """
    if isinstance(prompt, str):
        return prompt
    if CHUNK_END in prompt:
        raise ValueError(f"{title} reads a prompt as a whole; leave BREAK out")
    for span in prompt:
        if span.weight != 1.0 and span.text.strip():
            raise ValueError(
                f"{title} reads no weights ('{in_one_line(span.text)[:60]}' has {span.weight:g}); leave the brackets "
                "out, or escape them as \\( and \\)"
            )
    return "".join(span.text for span in prompt)


def check(prompt: Prompt, tokenizer_config: Path | None, thinking: bool, title: str) -> None:
    """Make sure that a prompt can be read; the tokenizer is loaded only for one that may be too long.

    Args:
        tokenizer_config: the file beside the tokenizer; None: it is not on this machine.
        thinking: see Template.
        title: of the family.

    Raises:
        ValueError: it cannot; the message is one line.
        UserError: the tokenizer is damaged.
    """
    text = plain_text(prompt, title)
    may_be_too_long = len(text.encode()) > LENGTH - _MOST_OF_TEMPLATE  # a token has a byte at least
    if may_be_too_long and tokenizer_config is not None:
        Template(tokenizer_in(tokenizer_config.parent), thinking, title).checked_ids(prompt)


@dataclass(frozen=True, eq=False)
class Template:
    """A tokenizer with its chat template."""

    tokenizer: "PreTrainedTokenizerBase"
    thinking: bool  # as Qwen3's template takes it; without it, an empty thought is part of the text
    title: str  # of the family

    def ids(self, prompt: Prompt) -> list[int]:
        """Return the tokens of a prompt in the template.

        Raises:
            UserError: see checked_ids.
        """
        try:
            return self.checked_ids(prompt)
        except ValueError as error:
            raise UserError(f"prompt: {error}") from None

    def checked_ids(self, prompt: Prompt) -> list[int]:
        """Return the tokens of a prompt in the template.

        Raises:
            ValueError: it has more than LENGTH, which the families' pipelines would cut; or see plain_text.
        """
        message = [{"role": "user", "content": plain_text(prompt, self.title)}]
        text = self.tokenizer.apply_chat_template(
            message, tokenize=False, add_generation_prompt=True, enable_thinking=self.thinking
        )
        ids: list[int] = self.tokenizer(text, verbose=False)["input_ids"]
        if len(ids) > LENGTH:
            raise ValueError(
                f"it has {len(ids)} tokens with its template, {self.title} reads {LENGTH}; shorten it"
            )
        return ids


@dataclass(frozen=True, eq=False)
class QwenVocabulary:
    """See bootstrap.models.family.Vocabulary."""

    tokenizer: "PreTrainedTokenizerBase"
    widths: tuple[int, ...] = ()  # no embeddings
    chunk_tokens: int | None = None  # captions stay whole

    def count(self, text: str) -> int:
        """See bootstrap.models.family.Vocabulary."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    def embeddings_in(self, prompt: Prompt, embeddings: Sequence[Embedding]) -> set[Embedding]:
        """See bootstrap.models.family.Vocabulary."""
        return set()


def padded_ids(rows: Sequence[list[int]], length: int, padding: int) -> "torch.Tensor":
    """Return the tokens of several texts, (rows, length), int64, on the CPU, padded on the right."""
    import torch

    return torch.tensor([[*ids, *[padding] * (length - len(ids))] for ids in rows])


def states(encoder: Any, tokens: "torch.Tensor", padding: int, layers: Sequence[int]) -> "torch.Tensor":
    """Return the states of several layers side by side, (rows, tokens, layers * width).

    Args:
        encoder: Qwen3's model, with or without its output head.
        tokens: (rows, tokens), padded on the right.
        padding: the padding's token, which no text contains.
        layers: indices of `hidden_states`: 0 is the input of the first layer, negative ones count from the end.
    """
    import torch

    inner = getattr(encoder, "model", encoder)  # without the head, whose result nobody needs
    hidden = inner(
        input_ids=tokens,
        # transformers makes its mask by looking into the tokens' values, which tensors on meta lack; a mask that is
        # made already (None: causal alone) gives the same shapes.
        attention_mask={"full_attention": None} if tokens.is_meta else (tokens != padding).long(),
        output_hidden_states=True,
        use_cache=False,
    ).hidden_states
    return torch.cat([hidden[layer] for layer in layers], dim=-1)


@lru_cache(maxsize=4)
def tokenizer_in(folder: Path) -> "PreTrainedTokenizerBase":
    """Return the tokenizer in a folder, loaded once.

    Raises:
        UserError: it is damaged.
    """
    from transformers import AutoTokenizer  # takes a second, so only callers that count tokens import it

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers' exceptions have no base class of their own
        reason = in_one_line(str(error))
        raise UserError(
            f"base model: the tokenizer in {folder} is damaged ({reason}); download the model again"
        ) from None
    return tokenizer
