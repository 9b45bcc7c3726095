"""Captions are ordered lists of comma-separated tags; these functions read, write and rearrange them."""

import random
import re
from collections.abc import Iterable, Sequence


def parse(caption: str) -> list[str]:
    """Split a caption at its commas into tags, stripped, empty ones dropped, order and case kept."""
    return [" ".join(tag.split()) for tag in caption.split(",") if tag.strip()]


_EXTRA_NETWORK = re.compile(r"<\w+:[^<>]*>")  # <lora:name:0.8>
_WEIGHTED = re.compile(
    r"(?<!\\)\(([^()\\]*(?:\\.[^()\\]*)*):\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*\)"
)  # (red apple:1.2)


def of_prompt(prompt: str) -> list[str]:
    """Return the tags that a prompt names, without the syntax that only a prompt has.

    `<lora:name:0.8>` goes, `(red apple:1.2)` and `saber \\(fate\\)` become `red apple` and `saber (fate)`.
    Brackets without a weight stay: in a caption they are part of a name, such as `saber (fate)`.
    """
    text = _EXTRA_NETWORK.sub("", prompt)
    weighted = ""
    while weighted != text:  # from the inside out: ((red apple:1.2), hat:0.9)
        weighted, text = text, _WEIGHTED.sub(r"\1", text)
    return parse(re.sub(r"\\([()\[\]\\])", r"\1", text))


def join(tags: Iterable[str]) -> str:
    """Join tags to a caption: `woman, red apple`."""
    return ", ".join(tags)


def as_prompt(tags: Iterable[str]) -> str:
    """Join tags to a prompt that means them as they stand: `saber (fate)` becomes `saber \\(fate\\)`."""
    return re.sub(r"([()\[\]\\])", r"\\\1", join(tags))


def same_tag(one: str, other: str) -> bool:
    """Whether two tags are the same word for the model: case does not count."""
    return one.casefold() == other.casefold()


def shuffle(tags: Sequence[str], keep_tokens: int, rng: random.Random) -> list[str]:
    """Return the tags in random order, the first `keep_tokens` of them in their place.

    kohya's `shuffle_caption` and `keep_tokens`; there too, a "token" is a tag here.
    """
    kept, rest = list(tags[:keep_tokens]), list(tags[keep_tokens:])
    rng.shuffle(rest)
    return kept + rest


def without(tags: Sequence[str], dropped: Iterable[str]) -> list[str]:
    """Return the tags without those in `dropped` (case does not count)."""
    gone = {tag.casefold() for tag in dropped}
    return [tag for tag in tags if tag.casefold() not in gone]


def with_added(tags: Sequence[str], added: Iterable[str]) -> list[str]:
    """Return the tags followed by those of `added` that are not there yet."""
    result = list(tags)
    for tag in added:
        if not any(same_tag(tag, known) for known in result):
            result.append(tag)
    return result


def replaced(tags: Sequence[str], old: str, new: str) -> list[str]:
    """Return the tags with `old` exchanged for the tags of `new` (a caption), in the same place."""
    result: list[str] = []
    for tag in tags:
        result.extend(parse(new) if same_tag(tag, old) else [tag])
    return result
