"""The prompt syntax of AUTOMATIC1111: from a prompt to the text that is encoded at each step.

    extra networks   <lora:name:0.8>              removed from the text first
    composition      a red ball AND a cube :0.6   prompts whose predictions are summed with their weights
    schedules        [from:to:0.5] [add:10] [gone::0.5] [one|other]    a text that changes from step to step
    attention        (x) (x:1.3) [x] \\( BREAK     the weight of each part, and the end of a chunk

As in AUTOMATIC1111, malformed text is never an error: an unclosed bracket counts to the end, a malformed schedule is
plain text, and a `|` outside brackets turns off all schedules of the text. (After an unclosed bracket, AUTOMATIC1111
sometimes takes well-formed ones for text as well; here they count.)

Source: stable-diffusion-webui, modules/prompt_parser.py and modules/extra_networks.py.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootstrap import captions
from bootstrap.errors import in_one_line
from bootstrap.models.prompt import CHUNK_END, Span
from bootstrap.shot_limits import MOST_NAMED_STRENGTH

ROUND, SQUARE = 1.1, 1 / 1.1  # the factor of a pair of brackets
# Limits of a prompt. Each part of an AND is predicted by itself, and each BREAK begins a chunk of 75 tokens.
MOST_PARTS = MOST_BREAKS = MOST_NETWORKS = 100
_LONGEST_NUMBER = 40  # digits; a weight of hundreds of digits is infinite
_TOO_MANY_DIGITS = re.compile(rf"\d{{{_LONGEST_NUMBER + 1}}}")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(r"(?:[^\\\[\]():|]|\\.)+")
_CHANGE = re.compile(rf"\s*({_NUMBER})\s*\]")
_EXTRA_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_PART_WEIGHT = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")
_ATTENTION = re.compile(
    r"(?P<escaped>\\[()\[\]\\]?)|(?P<open>[(\[])|:\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)|(?P<close>[)\]])"
    r"|(?P<text>[^\\()\[\]:]+|:)"
)
_BRACKET = re.compile(r"\\.|[()\[\]]", re.DOTALL)
_COUNTED = (
    ("BREAK", "BREAK", re.compile(r"\bBREAK\b"), MOST_BREAKS),
    ("AND", "AND", re.compile(r"\bAND\b"), MOST_PARTS),
    ("extra networks", "<", re.compile(r"<\w+:"), MOST_NETWORKS),
)


@dataclass(frozen=True)
class ExtraNetwork:
    """`<kind:argument:argument...>`; arguments of the form `name=value` are in `named`."""

    kind: str  # "lora"
    arguments: tuple[str, ...]
    named: dict[str, str]

    @property
    def is_lora(self) -> bool:
        """Whether it names a LoRA: `lyco` is an older name for LyCORIS files."""
        return self.kind in ("lora", "lyco")

    @property
    def name(self) -> str:
        """The file's name without its extension; empty if missing."""
        return self.arguments[0].strip() if self.arguments else ""

    @property
    def strengths(self) -> tuple[float, float]:
        """The strengths for the UNet and for the text encoder, in this order.

        `<lora:name:te:unet>`: te defaults to 1.0, unet to te. `te=` and `unet=` take precedence.

        Raises:
            ValueError: one of them is not a number, or too large.

        Source: stable-diffusion-webui, extensions-builtin/Lora/extra_networks_lora.py, `activate`.
        """
        te = self.named.get("te", self.arguments[1] if len(self.arguments) > 1 else "1")
        unet = self.named.get("unet", self.arguments[2] if len(self.arguments) > 2 else te)
        numbers = float(unet), float(te)
        if not all(abs(number) <= MOST_NAMED_STRENGTH for number in numbers):  # neither is NaN
            raise ValueError(f"a strength is a number up to {MOST_NAMED_STRENGTH:g}")
        return numbers

    @property
    def unused(self) -> list[str]:
        """The arguments of a LoRA that sid does not have, such as `lbw=OUTD`; the fourth without a name is `dyn`."""
        by_name = [f"{name}={value}" for name, value in self.named.items() if name not in ("te", "unet")]
        return by_name + [f"dyn={value}" for value in self.arguments[3:]]


@dataclass(frozen=True)
class Part:
    """One of the prompts that AND combines."""

    text: str
    weight: float


@dataclass(frozen=True)
class Scheduled:
    """The text up to and including step `end` (numbered from 1)."""

    end: int
    text: str


def check(prompt: str) -> None:
    """Make sure that a prompt stays within the limits that docs/prompts.md lists.

    Raises:
        ValueError: it does not; the message says where.
    """
    captions.check_length(prompt, "a prompt")
    if prompt.count("(") + prompt.count("[") > captions.DEEPEST:
        _check_depth(prompt)
    for kind, sign, pattern, most in _COUNTED:
        if prompt.count(sign) <= most:
            continue
        match = next(itertools.islice(pattern.finditer(prompt), most, None), None)
        if match is not None:
            raise ValueError(
                f"a prompt has {most} {kind} at most; {_place(prompt, match.start())} is one more"
            )
    number = _TOO_MANY_DIGITS.search(prompt)
    if number is not None:
        place = _place(prompt, number.start())
        raise ValueError(f"a number has {_LONGEST_NUMBER} digits at most; {place} has more")


def _check_depth(prompt: str) -> None:
    depths = {"(": 0, "[": 0}  # as in `attention`, each kind of bracket counts by itself
    for token in _BRACKET.finditer(prompt):
        opening = {")": "(", "]": "["}.get(token[0])
        if opening is not None:
            depths[opening] = max(0, depths[opening] - 1)
        elif token[0] in depths:
            depths[token[0]] += 1
            if sum(depths.values()) > captions.DEEPEST:
                place = _place(prompt, token.start())
                raise ValueError(
                    f"brackets are nested {captions.DEEPEST} levels deep at most; {place} is deeper"
                )


def _place(prompt: str, at: int) -> str:
    return f"'{in_one_line(prompt[at : at + 20])}' at character {at + 1}"


def without_comments(prompt: str) -> str:
    """Return a prompt without its comments, from a `#` to the end of the line.

    Source: stable-diffusion-webui, modules/processing_scripts/comments.py; on by default there since 1.8.
    """
    lines = [line.partition("#")[0] for line in prompt.split("\n") if not line.startswith("#")]
    return "\n".join(lines)


def extra_networks(prompt: str) -> tuple[str, list[ExtraNetwork]]:
    """Return the prompt without its extra networks, and the extra networks."""
    # After the last ">" there is none, and the pattern would look for it from every "<".
    end = prompt.rfind(">") + 1
    networks = []
    for kind, arguments in _EXTRA_NETWORK.findall(prompt, 0, end):
        pairs = [argument.partition("=") for argument in arguments.split(":")]
        networks.append(
            ExtraNetwork(
                kind,
                tuple(name for name, equals, _ in pairs if not equals),
                {name: value for name, equals, value in pairs if equals},
            )
        )
    return _EXTRA_NETWORK.sub("", prompt[:end]) + prompt[end:], networks


def parts(prompt: str) -> list[Part]:
    """Split a prompt at AND; the number after a part's last colon, if any, is its weight, else 1.0."""
    result = []
    for piece in re.split(r"\bAND\b", prompt):
        text, colon, number = piece.rstrip().rpartition(":")
        weight = _PART_WEIGHT.fullmatch(number.lstrip()) if colon else None
        if weight is not None:
            result.append(Part(text.rstrip(), float(weight[0])))
        else:
            result.append(Part(piece.rstrip(), 1.0))
    return result


def attention(text: str) -> list[Span]:
    """Return the weighted spans of a text, neighbours of equal weight joined; one empty span for an empty text."""
    texts: list[str] = []
    weights: list[float] = []  # of each text
    open_at: dict[str, list[int]] = {"(": [], "[": []}

    def multiply_from(start: int, factor: float) -> None:
        weights[start:] = [weight * factor for weight in weights[start:]]

    for token in _ATTENTION.finditer(text):
        if token["escaped"] is not None:
            texts.append(token["escaped"][1:])
            weights.append(1.0)
        elif token["open"]:
            open_at[token["open"]].append(len(texts))
        elif token["weight"] and open_at["("]:
            multiply_from(open_at["("].pop(), float(token["weight"]))
        elif token["close"] == ")" and open_at["("]:
            multiply_from(open_at["("].pop(), ROUND)
        elif token["close"] == "]" and open_at["["]:
            multiply_from(open_at["["].pop(), SQUARE)
        else:
            pieces = _split_at_breaks(token[0])
            for number, piece in enumerate(pieces):
                texts += [CHUNK_END.text, piece] if number else [piece]
                weights += [CHUNK_END.weight, 1.0] if number else [1.0]
    for bracket, factor in (("(", ROUND), ("[", SQUARE)):
        for start in open_at[bracket]:
            multiply_from(start, factor)
    return list(_joined(map(Span, texts, weights))) or [Span("", 1.0)]


def _split_at_breaks(text: str) -> list[str]:
    """Split a text at each BREAK, without the white space around it."""
    first, *others = re.split(r"\bBREAK\b", text)
    if not others:
        return [first]
    *middle, last = others
    return [first.rstrip(), *(piece.strip() for piece in middle), last.lstrip()]


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    for weight, neighbours in itertools.groupby(spans, key=lambda span: span.weight):
        yield Span("".join(span.text for span in neighbours), weight)


def schedule(text: str, steps: int, before: int = 0) -> list[Scheduled]:
    """Return the texts for the steps 1 to `steps`, in order; the last one ends with the last step.

    Args:
        before: for the second pass of hires, the steps of the first pass: as in AUTOMATIC1111, whole numbers in the
            text count from the first pass's first step, and fractions from 1.0.
    """
    brackets = _brackets(text)
    outer = _outermost(text, brackets)
    if outer is None or not any(len(bracket.choices) > 1 for bracket in brackets.values()):
        return [Scheduled(steps, text)]
    texts: list[Scheduled] = []
    for step in range(1, steps + 1):
        current = _text_at(step, outer, brackets, steps, before)
        if texts and texts[-1].text == current:
            texts[-1] = Scheduled(step, current)
        else:
            texts.append(Scheduled(step, current))
    return texts


def spans_of(prompt: str, steps: int) -> Iterator[list[Span]]:
    """Yield the weighted spans of all texts that a prompt is over its steps, without comments and extra networks.

    Choices and wildcards stay as they are written.
    """
    for part in parts(extra_networks(without_comments(prompt))[0]):
        for text in dict.fromkeys(entry.text for entry in schedule(part.text, steps)):
            yield attention(text)


_Pieces = list[str | int]  # text, and brackets by their start in the text


@dataclass(frozen=True)
class _Bracket:
    """A closed bracket, and its content from step to step."""

    end: int  # index after the closing bracket
    choices: list[_Pieces]  # one: plain text; several: a schedule that takes them in turn ...
    change: str = ""  # ... or, if set, the first up to this step, then the second


def _brackets(text: str) -> dict[int, _Bracket]:
    """Return the well-formed brackets by their start; a bracket's content does not depend on what surrounds it."""
    brackets: dict[int, _Bracket] = {}
    for start in range(len(text) - 1, -1, -1):
        parse_bracket = _ROUND_OR_SQUARE.get(text[start])
        bracket = parse_bracket(text, start, brackets) if parse_bracket else None
        if bracket is not None:
            brackets[start] = bracket
    return brackets


def _pieces(text: str, at: int, brackets: dict[int, _Bracket]) -> tuple[_Pieces, int]:
    """Parse plain text and well-formed brackets from `at`; return them and the index of what follows."""
    pieces: _Pieces = []
    while True:
        if at in brackets:
            pieces.append(at)
            at = brackets[at].end
        elif plain := _PLAIN.match(text, at):
            pieces.append(plain[0])
            at = plain.end()
        else:
            return pieces, at


def _round(text: str, start: int, brackets: dict[int, _Bracket]) -> _Bracket | None:
    """Parse `(a)` or `(a:b)`."""
    inner, end = _pieces(text, start + 1, brackets)
    pieces: _Pieces = ["(", *inner]
    if text[end : end + 1] == ":":
        inner, end = _pieces(text, end + 1, brackets)
        pieces += [":", *inner]
    return _Bracket(end + 1, [[*pieces, ")"]]) if text[end : end + 1] == ")" else None


def _square(text: str, start: int, brackets: dict[int, _Bracket]) -> _Bracket | None:
    """Parse `[a]`, `[a|b|...]`, `[a:number]` or `[a:b:number]`."""
    first, end = _pieces(text, start + 1, brackets)
    choices, mark = [first], text[end : end + 1]
    if mark == "]":
        return _Bracket(end + 1, [["[", *first, "]"]])
    if mark == ":":
        choices = [[], first]
        change = _CHANGE.match(text, end + 1)
        if change is None:
            second, end = _pieces(text, end + 1, brackets)
            choices = [first, second]
            change = _CHANGE.match(text, end + 1) if text[end : end + 1] == ":" else None
        return _Bracket(change.end(), choices, change[1]) if change else None
    while text[end : end + 1] == "|":
        following, end = _pieces(text, end + 1, brackets)
        choices.append(following)
    return _Bracket(end + 1, choices) if text[end : end + 1] == "]" else None


_ROUND_OR_SQUARE = {"(": _round, "[": _square}


def _outermost(text: str, brackets: dict[int, _Bracket]) -> _Pieces | None:
    """Return the pieces of the whole text, with unpaired brackets and colons as text.

    None: the text has a `|` outside brackets, or ends in a backslash; then nothing in it is a schedule.
    """
    pieces: _Pieces = []
    at = 0
    while at < len(text):
        following, at = _pieces(text, at, brackets)
        pieces += following
        if at < len(text):
            if text[at] not in "[]():":
                return None
            pieces.append(text[at])
            at += 1
    return pieces


def _text_at(step: int, outer: _Pieces, brackets: dict[int, _Bracket], steps: int, before: int) -> str:
    texts: dict[int, str] = {}

    def joined(pieces: _Pieces) -> str:
        return "".join(texts[piece] if isinstance(piece, int) else piece for piece in pieces)

    for start, bracket in brackets.items():  # from the end of the text, so inner before outer
        if bracket.change:
            chosen = 0 if step <= _last_step(bracket.change, steps, before) else 1
        else:
            chosen = (step - 1) % len(bracket.choices)
        texts[start] = joined(bracket.choices[chosen])
    return joined(outer)


def _last_step(number: str, steps: int, before: int) -> int:
    """Return the last step before the change: a number with a point is a fraction of all steps, else a step."""
    share = "." in number
    last = (float(number) - bool(before)) * steps if share else float(number) - before
    return int(min(max(last, -1), steps))
