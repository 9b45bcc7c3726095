"""The prompt language of AUTOMATIC1111: from text to what is encoded at each step.

    extra networks   <lora:name:0.8>              taken out of the text first
    composition      a red ball AND a cube :0.6   prompts whose predictions are added, each with its weight
    schedules        [from:to:0.5] [add:10] [gone::0.5] [one|other]    another text from step to step
    attention        (x) (x:1.3) [x] \\( BREAK     how much each part counts, and where a chunk ends

A text that is not well-formed means what it means there: brackets without a partner count to the end, a schedule
that is none stays as it stands, and one `|` outside of brackets makes a text in which nothing is a schedule. (Of
brackets without a partner before well-formed ones, it sometimes takes these for text as well; here they count.)
Nothing here raises for any text.

Source of the meaning: stable-diffusion-webui, modules/prompt_parser.py and modules/extra_networks.py.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.models.prompt import CHUNK_END, Span

ROUND, SQUARE = 1.1, 1 / 1.1  # what a bracket multiplies with
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(r"(?:[^\\\[\]():|]|\\.)+")
_CHANGE = re.compile(rf"\s*({_NUMBER})\s*\]")
_EXTRA_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_PART_WEIGHT = re.compile(r"(?s)^(.*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")
_ATTENTION = re.compile(
    r"(?P<escaped>\\[()\[\]\\]?)|(?P<open>[(\[])|:\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)|(?P<close>[)\]])"
    r"|(?P<text>[^\\()\[\]:]+|:)"
)


@dataclass(frozen=True)
class ExtraNetwork:
    """`<kind:argument:argument...>`, `name=value` arguments by name."""

    kind: str  # "lora"
    arguments: tuple[str, ...]
    named: dict[str, str]

    @property
    def is_lora(self) -> bool:
        """Whether it names a LoRA: `lyco` is an older word for some of them."""
        return self.kind in ("lora", "lyco")

    @property
    def name(self) -> str:
        """The file's name without ending; empty where it is missing."""
        return self.arguments[0].strip() if self.arguments else ""

    @property
    def strengths(self) -> tuple[float, float]:
        """The strengths of the UNet's part and of the text encoder's.

        `<lora:name:te:unet>`: what is missing is 1.0, and the UNet's the text encoder's. `te=` and `unet=` go first.

        Raises:
            ValueError: one of them is no number.

        Source: stable-diffusion-webui, extensions-builtin/Lora/extra_networks_lora.py, `activate`.
        """
        te = self.named.get("te", self.arguments[1] if len(self.arguments) > 1 else "1")
        unet = self.named.get("unet", self.arguments[2] if len(self.arguments) > 2 else te)
        numbers = float(unet), float(te)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a strength is a number")
        return numbers


@dataclass(frozen=True)
class Part:
    """One of the prompts that AND puts together."""

    text: str
    weight: float


@dataclass(frozen=True)
class Scheduled:
    """The text up to and with step `end` (numbered from 1)."""

    end: int
    text: str


def without_comments(prompt: str) -> str:
    """Return a prompt without what stands behind a `#`, up to the end of its line.

    Source: stable-diffusion-webui, modules/processing_scripts/comments.py; on by default there since 1.8.
    """
    kept = [line.partition("#")[0] for line in prompt.split("\n") if not line.startswith("#")]
    return "\n".join(kept)


def extra_networks(prompt: str) -> tuple[str, list[ExtraNetwork]]:
    """Return the prompt without its `<...>`, and these."""
    found = []
    for kind, listed in _EXTRA_NETWORK.findall(prompt):
        pairs = [argument.partition("=") for argument in listed.split(":")]
        found.append(
            ExtraNetwork(
                kind,
                tuple(name for name, equals, _ in pairs if not equals),
                {name: value for name, equals, value in pairs if equals},
            )
        )
    return _EXTRA_NETWORK.sub("", prompt), found


def parts(prompt: str) -> list[Part]:
    """Split a prompt at AND; the number after a part's last colon is its weight, 1.0 without."""
    found = []
    for piece in re.split(r"\bAND\b", prompt):
        match = _PART_WEIGHT.match(piece)
        text, weight = match.groups() if match else (piece, None)
        found.append(Part(text, float(weight) if weight else 1.0))
    return found


def attention(text: str) -> list[Span]:
    """Return the spans of a text, neighbours of one weight joined; one empty span for an empty text."""
    spans: list[Span] = []
    open_at: dict[str, list[int]] = {"(": [], "[": []}

    def multiply_from(start: int, factor: float) -> None:
        spans[start:] = [Span(one.text, one.weight * factor) for one in spans[start:]]

    for token in _ATTENTION.finditer(text):
        if token["escaped"] is not None:
            spans.append(Span(token["escaped"][1:], 1.0))
        elif token["open"]:
            open_at[token["open"]].append(len(spans))
        elif token["weight"] and open_at["("]:
            multiply_from(open_at["("].pop(), float(token["weight"]))
        elif token["close"] == ")" and open_at["("]:
            multiply_from(open_at["("].pop(), ROUND)
        elif token["close"] == "]" and open_at["["]:
            multiply_from(open_at["["].pop(), SQUARE)
        else:
            for number, piece in enumerate(re.split(r"\s*\bBREAK\b\s*", token[0])):
                spans += [CHUNK_END] if number else []
                spans.append(Span(piece, 1.0))
    for bracket, factor in (("(", ROUND), ("[", SQUARE)):
        for start in open_at[bracket]:
            multiply_from(start, factor)
    return list(_joined(spans)) or [Span("", 1.0)]


def _joined(spans: list[Span]) -> Iterator[Span]:
    last: Span | None = None
    for span in spans:
        if last is not None and last.weight == span.weight:
            last = Span(last.text + span.text, span.weight)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def schedule(text: str, steps: int, before: int = 0) -> list[Scheduled]:
    """Return the texts of a drawing of `steps` steps, in order; the last one ends with the last step.

    Args:
        before: steps of the first pass, where these are the second one's of hires: as in AUTOMATIC1111, whole
            numbers in the text count on from them, and shares from 1.0.
    """
    brackets = _brackets(text)
    outer = _outermost(text, brackets)
    if outer is None or not any(len(one.choices) > 1 for one in brackets.values()):
        return [Scheduled(steps, text)]
    found: list[Scheduled] = []
    for step in range(1, steps + 1):
        now = _text_at(step, outer, brackets, steps, before)
        if found and found[-1].text == now:
            found[-1] = Scheduled(step, now)
        else:
            found.append(Scheduled(step, now))
    return found


_Pieces = list[str | int]  # text, and brackets by where they begin


@dataclass(frozen=True)
class _Bracket:
    """A bracket that has its partner, and what it is at one step or another."""

    end: int  # behind its partner
    choices: list[_Pieces]  # one: it stays as it stands; else those that are taken in turn ...
    change: str = ""  # ... or the first up to this step, then the second


def _brackets(text: str) -> dict[int, _Bracket]:
    """The brackets that are well-formed, by where they begin; what one is does not depend on what is around it."""
    found: dict[int, _Bracket] = {}
    for start in range(len(text) - 1, -1, -1):
        read = _ROUND_OR_SQUARE.get(text[start])
        bracket = read(text, start, found) if read else None
        if bracket is not None:
            found[start] = bracket
    return found


def _pieces(text: str, at: int, found: dict[int, _Bracket]) -> tuple[_Pieces, int]:
    """Read on as far as text and well-formed brackets go."""
    pieces: _Pieces = []
    while True:
        if at in found:
            pieces.append(at)
            at = found[at].end
        elif plain := _PLAIN.match(text, at):
            pieces.append(plain[0])
            at = plain.end()
        else:
            return pieces, at


def _round(text: str, start: int, found: dict[int, _Bracket]) -> _Bracket | None:
    """`(a)` or `(a:b)`."""
    inner, end = _pieces(text, start + 1, found)
    pieces: _Pieces = ["(", *inner]
    if text[end : end + 1] == ":":
        inner, end = _pieces(text, end + 1, found)
        pieces += [":", *inner]
    return _Bracket(end + 1, [[*pieces, ")"]]) if text[end : end + 1] == ")" else None


def _square(text: str, start: int, found: dict[int, _Bracket]) -> _Bracket | None:
    """`[a]`, `[a|b|...]`, `[a:number]` or `[a:b:number]`."""
    first, end = _pieces(text, start + 1, found)
    choices, mark = [first], text[end : end + 1]
    if mark == "]":
        return _Bracket(end + 1, [["[", *first, "]"]])
    if mark == ":":
        choices = [[], first]
        change = _CHANGE.match(text, end + 1)
        if change is None:
            second, end = _pieces(text, end + 1, found)
            choices = [first, second]
            change = _CHANGE.match(text, end + 1) if text[end : end + 1] == ":" else None
        return _Bracket(change.end(), choices, change[1]) if change else None
    while text[end : end + 1] == "|":
        following, end = _pieces(text, end + 1, found)
        choices.append(following)
    return _Bracket(end + 1, choices) if text[end : end + 1] == "]" else None


_ROUND_OR_SQUARE = {"(": _round, "[": _square}


def _outermost(text: str, found: dict[int, _Bracket]) -> _Pieces | None:
    """The pieces of the whole text, brackets without partner and colons among them.

    None: it has a `|` outside of brackets, or ends in a backslash; then nothing in it is a schedule.
    """
    pieces: _Pieces = []
    at = 0
    while at < len(text):
        read, at = _pieces(text, at, found)
        pieces += read
        if at < len(text):
            if text[at] not in "[]():":
                return None
            pieces.append(text[at])
            at += 1
    return pieces


def _text_at(step: int, outer: _Pieces, brackets: dict[int, _Bracket], steps: int, before: int) -> str:
    texts: dict[int, str] = {}

    def joined(pieces: _Pieces) -> str:
        return "".join(texts[one] if isinstance(one, int) else one for one in pieces)

    for start, bracket in brackets.items():  # those that begin later first, so inner before outer
        if bracket.change:
            chosen = 0 if step <= _last_step(bracket.change, steps, before) else 1
        else:
            chosen = (step - 1) % len(bracket.choices)
        texts[start] = joined(bracket.choices[chosen])
    return joined(outer)


def _last_step(number: str, steps: int, before: int) -> int:
    """The last step before the change: with a point in it a share of all steps, else a step's number."""
    share = "." in number
    last = (float(number) - bool(before)) * steps if share else float(number) - before
    return int(min(max(last, -1), steps))
