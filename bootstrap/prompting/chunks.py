"""A prompt's tokens in chunks of 75, each token with its weight, as AUTOMATIC1111 divides them.

Source of the rules: stable-diffusion-webui, modules/sd_hijack_clip.py, `tokenize_line`.
"""

from dataclasses import dataclass

from transformers import CLIPTokenizer

from bootstrap.prompting import parse

LENGTH = 75  # tokens between the start and the end token
BACKTRACK = 20  # how far back a comma may be at which a full chunk is ended


@dataclass(frozen=True)
class Chunk:
    """What the text encoder sees at once: 77 tokens, start and end token among them."""

    tokens: list[int]
    weights: list[float]


def plain_chunks(tokenizer: CLIPTokenizer, text: str) -> list[Chunk]:
    """Return the chunks of a caption, in which no sign means anything, as kohya's training divides it."""
    ids = _ids(tokenizer, text)
    pieces = [ids[i : i + LENGTH] for i in range(0, len(ids), LENGTH)] or [[]]
    return [_filled(tokenizer, piece, [1.0] * len(piece)) for piece in pieces]


def chunks_of(tokenizer: CLIPTokenizer, text: str) -> list[Chunk]:
    """Return the chunks of a text with brackets and BREAK; one empty chunk for an empty text.

    A tag is not torn where a chunk ends: it moves on whole, if the comma before it is near.
    """
    [comma] = _ids(tokenizer, ",")
    found: list[Chunk] = []
    tokens: list[int] = []
    weights: list[float] = []
    last_comma = -1

    def end_chunk() -> None:
        nonlocal last_comma
        found.append(_filled(tokenizer, tokens, weights))
        tokens.clear()
        weights.clear()
        last_comma = -1

    for span in parse.attention(text):
        if span.text == parse.BREAK and span.weight == -1:
            end_chunk()
            continue
        for token in tokenizer(
            span.text, add_special_tokens=False, truncation=False, verbose=False
        ).input_ids:
            if token == comma:
                last_comma = len(tokens)
            elif len(tokens) == LENGTH and last_comma != -1 and LENGTH - last_comma <= BACKTRACK:
                moved = tokens[last_comma + 1 :], weights[last_comma + 1 :]
                del tokens[last_comma + 1 :], weights[last_comma + 1 :]
                end_chunk()
                tokens.extend(moved[0])
                weights.extend(moved[1])
            if len(tokens) == LENGTH:
                end_chunk()
            tokens.append(token)
            weights.append(span.weight)
    if tokens or not found:
        end_chunk()
    return found


def _ids(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    # `verbose` off: the tokenizer warns of more than 77 tokens, which is what the chunks are for.
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def _filled(tokenizer: CLIPTokenizer, tokens: list[int], weights: list[float]) -> Chunk:
    missing = LENGTH - len(tokens)
    return Chunk(
        [tokenizer.bos_token_id, *tokens, *[tokenizer.eos_token_id] * (missing + 1)],
        [1.0, *weights, *[1.0] * (missing + 1)],
    )
