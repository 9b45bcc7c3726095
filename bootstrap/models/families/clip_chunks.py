"""A prompt's tokens for CLIP, in chunks of 75, each token with its weight, as AUTOMATIC1111 divides them.

Source of the rules: stable-diffusion-webui, modules/sd_hijack_clip.py, `tokenize_line`. One thing differs: an embedding
that moves on to the next chunk with its tag stays one; there its vectors stay behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.models.prompt import CHUNK_END, Embedding, Prompt, Span

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

LENGTH = 75  # tokens between the start and the end token
BACKTRACK = 20  # how far back a comma may be at which a full chunk is ended
PLACEHOLDER = 0  # the token in whose place an embedding's vector is put


@dataclass(frozen=True)
class Chunk:
    """What the text encoder sees at once: 77 tokens, start and end token among them."""

    tokens: list[int]
    weights: list[float]
    embeddings: tuple[
        tuple[int, Embedding], ...
    ] = ()  # each with the place of its first vector among the tokens


def plain_chunks(tokenizer: "CLIPTokenizer", text: str) -> list[Chunk]:
    """Return the chunks of a caption, in which no sign means anything, as kohya's training divides it."""
    ids = _ids(tokenizer, text)
    pieces = [ids[i : i + LENGTH] for i in range(0, len(ids), LENGTH)] or [[]]
    return [_filled(tokenizer, piece, [1.0] * len(piece)) for piece in pieces]


def divided(tokenizer: "CLIPTokenizer", prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> list[Chunk]:
    """Return the chunks of a prompt, whether it is a caption or has spans."""
    if isinstance(prompt, str):
        return plain_chunks(tokenizer, prompt)
    return chunks_of(tokenizer, prompt, embeddings)


def chunks_of(
    tokenizer: "CLIPTokenizer", spans: Sequence[Span], embeddings: Sequence[Embedding] = ()
) -> list[Chunk]:
    """Return the chunks of a text with brackets and BREAK; one empty chunk for an empty text.

    A tag is not torn where a chunk ends: it moves on whole, if the comma before it is near. Nor is an embedding,
    which takes as many tokens as it has vectors.

    Args:
        spans: of the text, see bootstrap.prompting.parse.
        embeddings: those whose names may stand in the text.
    """
    [comma] = _ids(tokenizer, ",")
    names = _names(tokenizer, embeddings)
    found: list[Chunk] = []
    tokens: list[int] = []
    weights: list[float] = []
    placed: list[tuple[int, Embedding]] = []
    last_comma = -1

    def end_chunk() -> None:
        nonlocal tokens, weights, placed, last_comma
        found.append(_filled(tokenizer, tokens, weights, placed))
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
                    [(place - cut, one) for place, one in placed if place > cut],
                )
                tokens, weights = tokens[:cut], weights[:cut]
                placed = [(place, one) for place, one in placed if place <= cut]
                end_chunk()
                tokens, weights, placed = moved
            if len(tokens) == LENGTH:
                end_chunk()
            embedding, length = _named_at(names, ids, at)
            if embedding is None:
                tokens.append(token)
                weights.append(span.weight)
            else:
                if len(tokens) + embedding.count > LENGTH:
                    end_chunk()
                placed.append((len(tokens) + 1, embedding))
                tokens.extend([PLACEHOLDER] * embedding.count)
                weights.extend([span.weight] * embedding.count)
            at += length
    if tokens or not found:
        end_chunk()
    return found


def _names(tokenizer: "CLIPTokenizer", embeddings: Sequence[Embedding]) -> list[tuple[list[int], Embedding]]:
    """The tokens of each name, long ones first: `bad-hands-5` is not `bad-hands` with something behind it."""
    names = [(_ids_of_name(tokenizer, one.name), one) for one in embeddings]
    return sorted(((ids, one) for ids, one in names if ids), key=lambda pair: -len(pair[0]))


@lru_cache(maxsize=4096)
def _ids_of_name(tokenizer: "CLIPTokenizer", name: str) -> list[int]:
    """As `_ids`; names are few, texts in which they are looked for many."""
    return _ids(tokenizer, name)


def _named_at(
    names: list[tuple[list[int], Embedding]], ids: list[int], at: int
) -> tuple[Embedding | None, int]:
    """The embedding whose name stands there, and how many tokens the name has; None and 1 where there is none."""
    for name, embedding in names:
        if ids[at : at + len(name)] == name:
            return embedding, len(name)
    return None, 1


def _ids(tokenizer: "CLIPTokenizer", text: str) -> list[int]:
    # `verbose` off: the tokenizer warns of more than 77 tokens, which is what the chunks are for.
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

    def embeddings_in(self, prompt: Prompt, embeddings: Sequence[Embedding]) -> set[Embedding]:
        """See bootstrap.models.family.Vocabulary."""
        chunks = divided(self.tokenizer, prompt, embeddings) if embeddings else []
        return {embedding for chunk in chunks for _, embedding in chunk.embeddings}


@lru_cache(maxsize=4)
def tokenizer_in(folder: Path) -> "CLIPTokenizer":
    """Return the tokenizer that a folder holds, read once."""
    from transformers import CLIPTokenizer  # a second that whoever counts no tokens need not wait

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
