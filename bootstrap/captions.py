"""Captions, which are ordered lists of comma-separated tags: parsing, joining and editing them."""

import random
import re
from collections.abc import Iterable, Sequence

MOST_CHARACTERS = 20_000  # of a caption or a prompt; the longest captions of training have 225 tokens
DEEPEST = 64  # levels of nested brackets


def check_length(text: str, what: str) -> None:
    """Make sure that a caption or a prompt is not longer than MOST_CHARACTERS.

    Args:
        what: such as "a prompt", for the message.

    Raises:
        ValueError: it is longer.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"{what} has {MOST_CHARACTERS:,} characters at most, and here it has {len(text):,} "
            f"(it begins with '{' '.join(text[:40].split())}')"
        )


def parse(caption: str) -> list[str]:
    """Split a caption at its commas into tags, strip them and drop empty ones; order and case stay."""
    return [" ".join(tag.split()) for tag in caption.split(",") if tag.strip()]


_EXTRA_NETWORK = re.compile(r"<\w+:[^<>]*>")  # <lora:name:0.8>
_WEIGHTED = re.compile(
    r"(?<!\\)\(([^()\\]*(?:\\.[^()\\]*)*):\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*\)"
)  # (red apple:1.2)


def of_prompt(prompt: str) -> list[str]:
    """Return the tags of a prompt without prompt syntax.

    `<lora:name:0.8>` is removed, `(red apple:1.2)` and `saber \\(fate\\)` become `red apple` and `saber (fate)`.
    Brackets without a weight stay, because in a caption they are part of a name, such as `saber (fate)`.
    """
    text = _EXTRA_NETWORK.sub("", prompt)
    for _ in range(DEEPEST):  # from the innermost bracket outwards: ((red apple:1.2), hat:0.9)
        text, changed = _WEIGHTED.subn(r"\1", text)
        if not changed:
            break
    return parse(re.sub(r"\\([()\[\]\\])", r"\1", text))


def join(tags: Iterable[str]) -> str:
    """Join tags into a caption: `woman, red apple`."""
    return ", ".join(tags)


def as_prompt(tags: Iterable[str]) -> str:
    """Join tags into a prompt that takes their brackets literally: `saber (fate)` becomes `saber \\(fate\\)`."""
    return re.sub(r"([()\[\]\\])", r"\\\1", join(tags))


def same_tag(first: str, second: str) -> bool:
    """Return whether two tags are the same for the model, which ignores case."""
    return first.casefold() == second.casefold()


def shuffle(tags: Sequence[str], keep_tokens: int, rng: random.Random) -> list[str]:
    """Return the tags in random order, except the first `keep_tokens`, which keep their places.

    As kohya's `shuffle_caption` and `keep_tokens`, where a "token" is a tag too.
    """
    fixed, shuffled = list(tags[:keep_tokens]), list(tags[keep_tokens:])
    rng.shuffle(shuffled)
    return fixed + shuffled


def without(tags: Sequence[str], dropped: Iterable[str]) -> list[str]:
    """Return the tags without those in `dropped`, ignoring case."""
    dropped_folded = {tag.casefold() for tag in dropped}
    return [tag for tag in tags if tag.casefold() not in dropped_folded]


def with_added(tags: Sequence[str], added: Iterable[str]) -> list[str]:
    """Return the tags followed by those of `added` that are not among them."""
    result = list(tags)
    known = {tag.casefold() for tag in result}
    for tag in added:
        if tag.casefold() not in known:
            known.add(tag.casefold())
            result.append(tag)
    return result


def replaced(tags: Sequence[str], old: str, new: str) -> list[str]:
    """Return the tags with `old` replaced by the tags of `new` (a caption), in the same place."""
    result: list[str] = []
    for tag in tags:
        result.extend(parse(new) if same_tag(tag, old) else [tag])
    return result
