"""The prompt language of AUTOMATIC1111: from text to what is encoded at each step.

    extra networks   <lora:name:0.8>              taken out of the text first
    composition      a red ball AND a cube :0.6   prompts whose predictions are added, each with its weight
    schedules        [from:to:0.5] [add:10] [gone::0.5] [one|other]    another text from step to step
    attention        (x) (x:1.3) [x] \\( BREAK     how much each part counts, and where a chunk ends

A text that is not well-formed means what it means there: brackets without a partner count to the end, and a
schedule that is none stays as it stands. Nothing here raises for any text.

Source of the meaning: stable-diffusion-webui, modules/prompt_parser.py and modules/extra_networks.py.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ROUND, SQUARE = 1.1, 1 / 1.1  # what a bracket multiplies with
BREAK = "BREAK"
_PARTNER = {"(": ")", "[": "]"}
_DEEPEST = 50  # brackets within brackets; deeper ones are plain text

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_EXTRA_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_PART_WEIGHT = re.compile(r"(?s)^(.*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")
_ATTENTION = re.compile(
    r"(?P<escaped>\\[()\[\]\\]?)|(?P<open>[(\[])|:\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)|(?P<close>[)\]])"
    r"|(?P<text>[^\\()\[\]:]+|:)"
)


@dataclass(frozen=True)
class Span:
    """A stretch of text and how much attention it gets; BREAK has weight -1."""

    text: str
    weight: float


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
        spans[start:] = [
            Span(one.text, one.weight * factor) if one.text != BREAK else one for one in spans[start:]
        ]

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
                spans += [Span(BREAK, -1.0)] if number else []
                spans.append(Span(piece, 1.0))
    for bracket, factor in (("(", ROUND), ("[", SQUARE)):
        for start in open_at[bracket]:
            multiply_from(start, factor)
    return list(_joined(spans)) or [Span("", 1.0)]


def _joined(spans: list[Span]) -> Iterator[Span]:
    last: Span | None = None
    for span in spans:
        if last is not None and last.weight == span.weight and BREAK not in (last.text, span.text):
            last = Span(last.text + span.text, span.weight)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def schedule(text: str, steps: int) -> list[Scheduled]:
    """Return the texts of a drawing of `steps` steps, in order; the last one ends with the last step."""
    at_step, _ = _Reader(text, steps).sequence(0, closing="", depth=0)
    found: list[Scheduled] = []
    for step in range(1, steps + 1):
        now = at_step(step)
        if found and found[-1].text == now:
            found[-1] = Scheduled(step, now)
        else:
            found.append(Scheduled(step, now))
    return found


_At = Callable[[int], str]  # the text at a step
_Read = tuple[_At, int]  # and where reading ended


class _Reader:
    """Reads schedules by recursive descent; what a bracket is does not depend on what is around it."""

    def __init__(self, text: str, steps: int) -> None:
        self._text, self._steps = text, steps
        self._known: dict[tuple[str, int], _Read | None] = {}  # else brackets without partners cost 2 ** n

    def sequence(self, start: int, closing: str, depth: int) -> _Read:
        """Read on to one of the characters in `closing`, or to the end."""
        text, at = self._text, start
        pieces: list[_At] = []
        plain = ""
        while at < len(text) and text[at] not in closing:
            read = None
            if text[at] in "([" and depth < _DEEPEST:
                read = self._opened(at, closing, depth)
            if read is not None:
                pieces += [_always(plain), read[0]]
                plain, at = "", read[1]
            else:
                width = 2 if text[at] == "\\" else 1
                plain += text[at : at + width]
                at += width
        pieces.append(_always(plain))
        return (lambda step: "".join(piece(step) for piece in pieces)), min(at, len(text))

    def _opened(self, start: int, closing: str, depth: int) -> _Read | None:
        """Read from an opening bracket to its partner; None where there is none, or it does not matter."""
        read = None
        if self._text.find(_PARTNER[self._text[start]], start) < 0:
            return None
        if self._text[start] == "[":
            read = self._remembered("schedule", start, depth)
        if read is None and closing:  # within a schedule, a bracket may hold its colons
            read = self._remembered("group", start, depth)
        return read

    def _remembered(self, kind: str, start: int, depth: int) -> _Read | None:
        if (kind, start) not in self._known:
            reading = self._scheduled if kind == "schedule" else self._group
            self._known[kind, start] = reading(start, depth)
        return self._known[kind, start]

    def _group(self, start: int, depth: int) -> _Read | None:
        partner = _PARTNER[self._text[start]]
        inner, end = self.sequence(start + 1, partner, depth + 1)
        if end >= len(self._text):
            return None
        before = self._text[start]
        return (lambda step: before + inner(step) + partner), end + 1

    def _scheduled(self, start: int, depth: int) -> _Read | None:
        """Read `[a:b:number]`, `[b:number]` or `[a|b]`; None where it is none of them."""
        inner: list[_At] = []
        marks, at = "", start + 1
        while True:
            piece, end = self.sequence(at, ":|])", depth + 1)
            inner.append(piece)
            if end >= len(self._text) or self._text[end] == ")":
                return None
            if self._text[end] == "]":
                break
            marks += self._text[end]
            at = end + 1
        if marks and set(marks) == {"|"}:
            return (lambda step: inner[(step - 1) % len(inner)](step)), end + 1
        when = _step_of(self._text[at:end], self._steps)
        if marks not in (":", "::") or when is None:
            return None
        before = inner[0] if marks == "::" else _always("")
        after = inner[-2]
        return (lambda step: before(step) if step <= when else after(step)), end + 1


def _step_of(text: str, steps: int) -> int | None:
    """The last step before the change: with a point in it a share of all steps, else a step's number."""
    number = text.strip()
    if not re.fullmatch(_NUMBER, number):
        return None
    value = float(number) * steps if "." in number else float(number)
    return int(min(max(value, -1), steps))


def _always(text: str) -> _At:
    return lambda step: text
