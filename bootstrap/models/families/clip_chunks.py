"""A prompt's tokens for CLIP, each with its weight, divided into chunks of 75 as in AUTOMATIC1111.

Source of the rules: stable-diffusion-webui, modules/sd_hijack_clip.py, `tokenize_line`. One difference: when a tag with
an embedding moves to the next chunk, its vectors move along; in AUTOMATIC1111 they stay behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.errors import UserError, in_one_line
from bootstrap.models.prompt import CHUNK_END, Embedding, Prompt, Span

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

LENGTH = 75  # tokens between the start and the end token
BACKTRACK = 20  # a full chunk is cut at the last comma if that is at most this many tokens back
PLACEHOLDER = 0  # token that an embedding's vector replaces


@dataclass(frozen=True)
class Chunk:
    """One row of the text encoder's input: 77 tokens, including start and end token."""

    tokens: list[int]
    weights: list[float]
    embeddings: tuple[
        tuple[int, Embedding], ...
    ] = ()  # each with the position of its first vector in `tokens`


def plain_chunks(tokenizer: "CLIPTokenizer", text: str) -> list[Chunk]:
    """Return the chunks of a caption, which is plain text, divided as the prompts that will draw it.

    kohya's training divides after every 75 tokens, within a tag too.
    """
    return chunks_of(tokenizer, [Span(text, 1.0)])


def divided(tokenizer: "CLIPTokenizer", prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> list[Chunk]:
    """Return the chunks of a caption or of a prompt's spans."""
    if isinstance(prompt, str):
        return plain_chunks(tokenizer, prompt)
    return chunks_of(tokenizer, prompt, embeddings)


def chunks_of(
    tokenizer: "CLIPTokenizer", spans: Sequence[Span], embeddings: Sequence[Embedding] = ()
) -> list[Chunk]:
    """Return the chunks of a prompt's spans; one empty chunk for an empty text.

    A tag at a chunk's end moves to the next chunk as a whole, if the comma before it is at most BACKTRACK tokens back.
    An embedding, which takes as many tokens as it has vectors, is never split.

    Args:
        spans: of the text, see bootstrap.prompting.parse.
        embeddings: those that the text may name.
    """
    [comma] = _ids(tokenizer, ",")
    names = _names(tokenizer, embeddings)
    chunks: list[Chunk] = []
    tokens: list[int] = []
    weights: list[float] = []
    placed: list[tuple[int, Embedding]] = []
    last_comma = -1

    def end_chunk() -> None:
        nonlocal tokens, weights, placed, last_comma
        chunks.append(_filled(tokenizer, tokens, weights, placed))
        tokens, weights, placed, last_comma = [], [], [], -1

    for span in spans:
        if span == CHUNK_END:
            end_chunk()
            continue
        ids = _ids(tokenizer, span.text)
        at = 0
        while at < len(ids):
            token = ids[at]
            if token == comma:
                last_comma = len(tokens)
            elif len(tokens) == LENGTH and last_comma != -1 and LENGTH - last_comma <= BACKTRACK:
                cut = last_comma + 1
                moved = (
                    tokens[cut:],
                    weights[cut:],
                    [(position - cut, embedding) for position, embedding in placed if position > cut],
                )
                tokens, weights = tokens[:cut], weights[:cut]
                placed = [(position, embedding) for position, embedding in placed if position <= cut]
                end_chunk()
                tokens, weights, placed = moved
            if len(tokens) == LENGTH:
                end_chunk()
            named, length = _named_at(names, ids, at)
            if named is None:
                tokens.append(token)
                weights.append(span.weight)
            else:
                if len(tokens) + named.count > LENGTH:
                    end_chunk()
                placed.append((len(tokens) + 1, named))
                tokens.extend([PLACEHOLDER] * named.count)
                weights.extend([span.weight] * named.count)
            at += length
    if tokens or not chunks:
        end_chunk()
    return chunks


def _names(tokenizer: "CLIPTokenizer", embeddings: Sequence[Embedding]) -> list[tuple[list[int], Embedding]]:
    """Return each embedding with its name's tokens, longest first: `bad-hands-5` is not `bad-hands` and more text."""
    names = [(_ids_of_name(tokenizer, embedding.name), embedding) for embedding in embeddings]
    return sorted(((ids, embedding) for ids, embedding in names if ids), key=lambda pair: -len(pair[0]))


@lru_cache(maxsize=4096)
def _ids_of_name(tokenizer: "CLIPTokenizer", name: str) -> list[int]:
    """As `_ids`, cached: the same few names are searched for in many texts."""
    return _ids(tokenizer, name)


def _named_at(
    names: list[tuple[list[int], Embedding]], ids: list[int], at: int
) -> tuple[Embedding | None, int]:
    """Return the embedding named at index `at` and its name's length in tokens; (None, 1) if there is none."""
    for name, embedding in names:
        if ids[at : at + len(name)] == name:
            return embedding, len(name)
    return None, 1


def _ids(tokenizer: "CLIPTokenizer", text: str) -> list[int]:
    # Not verbose: the tokenizer would warn about more than 77 tokens, which the chunks take care of.
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def _filled(
    tokenizer: "CLIPTokenizer",
    tokens: list[int],
    weights: list[float],
    embeddings: Sequence[tuple[int, Embedding]] = (),
) -> Chunk:
    missing = LENGTH - len(tokens)
    return Chunk(
        [tokenizer.bos_token_id, *tokens, *[tokenizer.eos_token_id] * (missing + 1)],
        [1.0, *weights, *[1.0] * (missing + 1)],
        tuple(embeddings),
    )


@dataclass(frozen=True, eq=False)
class ClipVocabulary:
    """CLIP's tokenizer, and the width of each text encoder."""

    tokenizer: "CLIPTokenizer"
    widths: tuple[int, ...]

    def count(self, text: str) -> int:
        """See bootstrap.models.family.Vocabulary."""
        return len(_ids(self.tokenizer, text))

    @property
    def chunk_tokens(self) -> int:
        """See bootstrap.models.family.Vocabulary."""
        return LENGTH

    def embeddings_in(self, prompt: Prompt, embeddings: Sequence[Embedding]) -> set[Embedding]:
        """See bootstrap.models.family.Vocabulary."""
        chunks = divided(self.tokenizer, prompt, embeddings) if embeddings else []
        return {embedding for chunk in chunks for _, embedding in chunk.embeddings}


@lru_cache(maxsize=4)
def tokenizer_in(folder: Path) -> "CLIPTokenizer":
    """Return the tokenizer in a folder, loaded once.

    Raises:
        UserError: it is damaged.
    """
    from transformers import CLIPTokenizer  # takes a second, so only callers that count tokens import it

    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers' exceptions have no base class of their own
        reason = in_one_line(str(error))
        raise UserError(
            f"base model: the tokenizer in {folder} is damaged ({reason}); download the model again"
        ) from None
