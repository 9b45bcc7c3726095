"""Captions, which are ordered lists of comma-separated tags: parsing, joining and editing them."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

MOST_CHARACTERS = 20_000  # of a caption or a prompt; the longest captions of training have 225 tokens
DEEPEST = 64  # levels of nested brackets
_MOST_PASSES = 4
_LONGEST_QUOTED = 120  # characters of a message


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


_COMMAS = re.compile("[,\uff0c\u3001]")  # also the full-width and the ideographic comma
_SIGN_OF_PAIR = re.compile(r"\\.|[()\[\]{}]", re.DOTALL)
_OPENING = {")": "(", "]": "[", "}": "{"}
_ESCAPED_BRACKET = re.compile(r"(?<!\\)\\+([()\[\]])")
# What a prompt means by something else than words; see docs/prompts.md.
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_EXTRA_NETWORK = re.compile(r"<\w+:[^<>]*>")  # <lora:name:0.8>
_JOINED = re.compile(r"\b(?:AND|BREAK)\b")
_PART_WEIGHT = re.compile(rf"\s*:\s*{_NUMBER}\s*$")  # a red ball AND a cube :0.6
_LONE_PART_WEIGHT = re.compile(r"(?<=\w) : ?\d*\.\d+$")
_WEIGHTED = re.compile(rf"\(([^()]*):\s*{_NUMBER}\s*\)")  # (red apple:1.2)
_DOUBLED = re.compile(r"(?<!\()\(\(+([^()]*)\)\)+")  # ((red apple))
_EMPHASIZED = re.compile(
    r"(^|,)( ?)\(([^()]*\w\w[^()]*)\)(?= ?(?:,|$))"
)  # (red apple), not the name `saber (fate)`
_PLAIN_BRACKETS = re.compile(r"\([^()\[\]]*\)|\[[^()\[\]]*\]")
_SQUARE = re.compile(r"\[([^\[\]]+)\]")
_TIMED = re.compile(rf"(.*):\s*{_NUMBER}\s*")
_CHOICE = re.compile(r"(?:[$%]\{|\{(?=[^{}]*(?:\||\$\$)))([^{}]+)\}")
_HEAD_OF_CHOICE = re.compile(r"\s*[~!@]?\s*\d*-?\d*\$\$(?:[^$]*\$\$)?")  # {2$$ and $$red|blue}
_WEIGHT_OF_CHOICE = re.compile(rf"\s*{_NUMBER}::")
_WILDCARD = re.compile(r"__(?=[^_\s])([\w*./ -]+?)__")
_LITERAL = 0xF0000  # the private characters from here on stand for signs that are words
_NOTHING = chr(_LITERAL + 128)  # parts what would otherwise be syntax


def parse(caption: str) -> list[str]:
    """Split a caption at its commas into tags, strip them and drop empty ones; order and case stay.

    Full-width commas, as Chinese and Japanese keyboards type them, part tags too.
    """
    return [" ".join(tag.split()) for tag in _COMMAS.split(caption) if tag.strip()]


def parse_prompt(prompt: str) -> list[str]:
    """Split a prompt at the commas that are outside of its brackets and braces; otherwise as `parse`.

    So no part of a bracket is taken for a tag that the prompt has already.
    """
    opened, count = list[tuple[str, int]](), Counter[str]()
    within = [0] * (len(prompt) + 1)  # +1 where a pair begins, -1 behind its end
    for sign in _SIGN_OF_PAIR.finditer(prompt):
        at, opening = sign.start(), _OPENING.get(sign[0])
        if opening is None and len(sign[0]) == 1:
            opened.append((sign[0], at))
            count[sign[0]] += 1
        elif opening and count[opening]:
            while opened:
                known, begin = opened.pop()
                count[known] -= 1
                if known == opening:
                    within[begin] += 1
                    within[at] -= 1
                    break
    depth, start, tags = 0, 0, list[str]()
    for at, change in enumerate(within):
        depth += change
        if at == len(prompt) or (not depth and _COMMAS.match(prompt[at])):
            tags.append(join(parse(prompt[start:at])))
            start = at + 1
    return [tag for tag in tags if tag]


def read(text: str) -> list[str]:
    """Return the tags of a caption that a person or another tool wrote.

    A caption is words, so `saber \\(fate\\)` is the name `saber (fate)`.

    Raises:
        ValueError: it has prompt syntax, which would be trained as if it were words.
    """
    tags = parse(without_escapes(text))
    words = without_syntax(text)
    if tags == words:
        return tags
    odd = next((tag for tag in tags if tag not in words), tags[0])
    small = " (as words, AND and BREAK have small letters)" if _JOINED.search(odd) else ""
    instead = f"; write {_shortened(join(words))}" if words else ""
    raise ValueError(f"{_shortened(odd)} has prompt syntax, and a caption has only words{small}{instead}")


def without_syntax(text: str) -> list[str]:
    """Return the tags of a caption with words instead of prompt syntax; see `of_prompt`."""
    tags = parse(without_escapes(text))
    for _ in range(_MOST_PASSES):  # what is left may be syntax again, such as a weight at the new end
        changed = parse(without_escapes(_without_syntax(join(tags), _REPLACEMENTS)))
        if changed == tags:
            break
        tags = changed
    return tags


def without_escapes(text: str) -> str:
    """Return a tag or caption without the backslashes before its brackets, which only a prompt needs."""
    return _ESCAPED_BRACKET.sub(r"\1", text)


def of_prompt(prompt: str) -> list[str]:
    """Return the tags of a prompt without prompt syntax: what a picture drawn from it shows, in words.

    `<lora:name:0.8>` is removed. `(red apple:1.2)`, `[red apple]` and `saber \\(fate\\)` become `red apple` and
    `saber (fate)`. BREAK and AND part tags. A schedule becomes the text that it ends with, or, if it ends with none,
    the one before; an alternation all its texts.
    """
    literal = re.sub(r"\\(.?)", lambda escaped: _without_meaning(escaped[1]), " ".join(prompt.split()))
    return without_syntax(
        _without_syntax(literal, (*_REPLACEMENTS[:3], _without_emphasis, *_REPLACEMENTS[3:]))
    )


_Replace = Callable[[str], str]


def _without_syntax(text: str, replacements: Sequence[_Replace]) -> str:
    """Return a caption, or a prompt whose escaped signs are literal, with words instead of prompt syntax.

    Args:
        replacements: the first that changes the text is made, then the first again, and so on.
    """
    text = _EXTRA_NETWORK.sub("", " ".join(text.split()))
    parts = [re.sub(r"\bBREAK\b", ", ", part) for part in re.split(r"\bAND\b", text)]
    if len(parts) > 1:
        text = ", ".join(_PART_WEIGHT.sub("", part) for part in parts)
    else:
        text = _LONE_PART_WEIGHT.sub("", parts[0])
    for _ in range(DEEPEST):  # from the innermost bracket outwards: ((red apple:1.2), hat:0.9)
        changed = next((new for replace in replacements if (new := replace(text)) != text), text)
        if changed == text:
            break
        text = changed
    text = text.replace(_NOTHING, "")
    return re.sub(f"[{chr(_LITERAL)}-{chr(_LITERAL + 127)}]", lambda sign: chr(ord(sign[0]) - _LITERAL), text)


def _without_meaning(escaped: str) -> str:
    """Return the sign after a backslash so that it means itself; a letter or digit still belongs to its word."""
    return _as_literal(escaped) if re.fullmatch(r"\W", escaped) else _NOTHING + escaped


def _as_literal(sign: str) -> str:
    return chr(_LITERAL + ord(sign)) if sign.isascii() and sign else sign


def _scheduled(bracket: re.Match[str]) -> str:
    if "|" in bracket[1]:
        return _all_of(bracket[1].split("|"))
    timed = _TIMED.fullmatch(bracket[1])
    if timed is None:
        return bracket[0]
    before, _, after = timed[1].rpartition(":")
    return after if after.strip() else before


def _chosen(braces: re.Match[str]) -> str:
    options = _HEAD_OF_CHOICE.sub("", braces[1], count=1).split("|")
    return _all_of(_WEIGHT_OF_CHOICE.sub("", option, count=1) for option in options)


def _all_of(texts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _without_emphasis(text: str) -> str:
    """Return a prompt without brackets that weigh; `saber (fate)` stays, because that is how names are spelled."""
    return _EMPHASIZED.sub(r"\1\2\3", _SQUARE.sub(r"\1", text))


def _with_literal_brackets(text: str) -> str:
    """Make what brackets are left part of a name; there may be syntax around it."""
    return _PLAIN_BRACKETS.sub(
        lambda name: f"{_as_literal(name[0][0])}{name[0][1:-1]}{_as_literal(name[0][-1])}", text
    )


_REPLACEMENTS: tuple[_Replace, ...] = (
    lambda text: _WILDCARD.sub(r"\1", _CHOICE.sub(_chosen, text)),
    lambda text: _SQUARE.sub(_scheduled, _WEIGHTED.sub(r"\1", text)),
    lambda text: _DOUBLED.sub(r"\1", text),
    _with_literal_brackets,
)


def _shortened(text: str) -> str:
    return f"'{text if len(text) <= _LONGEST_QUOTED else text[:_LONGEST_QUOTED] + '...'}'"


def join(tags: Iterable[str]) -> str:
    """Join tags into a caption: `woman, red apple`."""
    return ", ".join(tags)


def as_prompt(tags: Iterable[str]) -> str:
    """Join tags into a prompt that means their words: `saber (fate)` becomes `saber \\(fate\\)`.

    A backslash before any other sign than a bracket or a backslash is nothing to AUTOMATIC1111, but parts what would
    otherwise be syntax: `ratio 16:9` at a prompt's end would be a weight, `<lora:ink:1>` a file, `|` would turn off
    schedules, `{a|b}` and `__a__` would be choices. AND and BREAK get small letters, which mean the same to CLIP.
    """
    text = _JOINED.sub(lambda word: word[0].lower(), join(tags))
    text = re.sub(r"[()\[\]\\|{}]", r"\\\g<0>", text)
    text = re.sub(r"<(?=\w+:)", r"<\\", text)
    text = re.sub(rf":(?=\s*{_NUMBER}\s*(?:,|$))", r":\\", text)
    return re.sub(r"_(?=_)", r"_\\", text)


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
    """Return the tags with `old` replaced by the tags of `new` (a caption or prompt), in the same place."""
    result: list[str] = []
    for tag in tags:
        result.extend(parse_prompt(new) if same_tag(tag, old) else [tag])
    return result
