"""The syntax of choices: what of a text is one, and where it is malformed. The language is Dynamic Prompts'.

The library's grammar takes `%`, `$`, `#` and `//` for the start of a command or a comment wherever they stand, and
every `|` within braces for the end of an option. So, before it parses a text, whatever is no choice is made literal:
each of its signs is exchanged for a private character, which keeps the columns. `<lora:a__b:1>`, `[hat|crown]` within
braces, `50% wool` and `\\{` stay what they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.errors import in_one_line

_LITERAL = 0x10F000  # the private characters from here on stand for signs that are no syntax
_LITERALS = re.compile(f"[{chr(_LITERAL)}-{chr(_LITERAL + 127)}]")
_SIGNS = "{}|$%#_/\\:!~@"
_ANY_SIGN = re.compile(r"[{}$%#/\\]|__")
_NETWORK = re.compile(r"<\w+:[^<>]*>")
_WILDCARD = re.compile(r"__[~!@]?(?=[^\W_]|[*?$./\[-])(?:\$\{[^{}]*\}|\([^()]*\)|(?!__)[^(){}<>|,\n$])+__")
_SEPARATORS = re.compile(rf"{_WILDCARD.pattern}|[{{}},]")
_UNDERSCORES = re.compile(r"__+")
_WEIGHT = re.compile(r"\s*(?:\d+\.?\d*|\.\d+)::")
_HEAD = re.compile(r"\s*~?\s*(?:(?:\d+\s*-\s*\d+|-\s*\d+|\d+\s*-|\d+)\s*\$\$(?:[^${}]*\$\$)?)?")
_HEAD_OF_VARIABLE = re.compile(r"\s*[A-Za-z_-][\w-]*\s*(?:\?\s*)?(?:=!?|:)?")
_SAMPLER = re.compile(r"\s*([!@])")
_PAIRS = {"(": ")", "[": "]"}


class ChoiceSyntaxError(ValueError):
    """A choice that cannot be parsed; `column` says where, counted from 1."""

    def __init__(self, problem: str, column: int) -> None:
        """Keep the column, for whoever knows the file and line."""
        super().__init__(problem)
        self.column = column


@dataclass
class _Open:
    """A bracket that is not closed yet."""

    sign: str  # "{", "${", "%{", "(" or "["
    at: int
    bars: list[int]  # of the "|" directly within
    delimiters: int = 0  # the "$$" that a wrap command still needs


def prepared(text: str) -> str:
    """Return a text whose only signs of the language are its choices, for the library to parse; see `as_written`.

    Raises:
        ChoiceSyntaxError: braces or underscores do not pair, or a choice asks for what a single picture cannot have.
    """
    if not _ANY_SIGN.search(text):
        return text
    signs = list(text)

    def make_literal(start: int, end: int) -> None:
        for at in range(start, end):
            if signs[at] in _SIGNS:
                signs[at] = chr(_LITERAL + ord(signs[at]))

    stack: list[_Open] = []
    at = 0
    while at < len(text):
        sign = text[at]
        step = 1
        if sign == "\\":
            step = 2
            make_literal(at, min(at + 2, len(text)))
        elif sign == "<" and (network := _NETWORK.match(text, at)):
            step = len(network[0])
            make_literal(at, network.end())
        elif sign in "$%" and text.startswith("{", at + 1):
            stack.append(_Open(f"{sign}{{", at, [], delimiters=sign == "%"))
            step = _after_head(text, at, stack[-1])
        elif sign == "{":
            stack.append(_Open(sign, at, []))
            step = _after_head(text, at, stack[-1])
        elif sign == "}":
            _closed(stack, text, at)
        elif sign in "([":
            stack.append(_Open(sign, at, []))
        elif sign in ")]":
            if stack and _PAIRS.get(stack[-1].sign) == sign:
                for bar in stack.pop().bars:  # an alternation, or words
                    make_literal(bar, bar + 1)
        elif sign == "|" and stack:
            stack[-1].bars.append(at)
            step = _after_bar(text, at, stack)
        elif text.startswith("__", at):
            run = _UNDERSCORES.match(text, at)
            begins, step = _wildcard(text, at, run.end() if run else at)
            make_literal(at, begins)
        elif text.startswith("$$", at) and stack and stack[-1].delimiters:
            stack[-1].delimiters = 0
            step = 2
        elif text.startswith("$$", at) and stack and stack[-1].sign == "{":
            raise _fault(text, at, "a quantity is a number right behind the brace, as in {2$$red|blue|green}")
        elif text.startswith("::", at) and stack and stack[-1].sign == "{":
            raise _fault(
                text,
                at,
                "a weight is a number before its option, as in {2::red|blue}, and `::` alone is `\\:\\:`",
            )
        elif sign in "$%#/":
            make_literal(at, at + 1)
        at += step
    _refuse_open(stack, text)
    return "".join(signs)


def check(text: str) -> None:
    """Make sure that the choices of a prompt can be parsed, as far as that can be told without the wildcards' files.

    Raises:
        ValueError: they cannot; the message says where.
    """
    try:
        prepared(text)
    except ChoiceSyntaxError as error:
        raise ValueError(f"character {error.column}: {error}") from None


def is_choice(prepared_text: str) -> bool:
    """Return whether a prepared text has a choice or a wildcard."""
    return "{" in prepared_text or "__" in prepared_text


def tags_of(prepared_text: str) -> Iterator[str]:
    """Yield the tags of a prepared text, unstripped; a comma within a choice does not separate tags."""
    depth = start = 0
    for match in _SEPARATORS.finditer(prepared_text):
        depth += (match[0] == "{") - (match[0] == "}")
        if match[0] == "," and not depth:
            yield prepared_text[start : match.start()]
            start = match.end()
    yield prepared_text[start:]


def as_written(text: str) -> str:
    """Return a text with the signs again that `prepared` made literal."""
    return _LITERALS.sub(lambda sign: chr(ord(sign[0]) - _LITERAL), text)


def _after_head(text: str, at: int, opened: _Open) -> int:
    """Return the length of an opening brace with what stands before its options, such as `{2$$ and $$` or `{3::`."""
    start = at + len(opened.sign)
    if opened.sign == "%{":
        return len(opened.sign)
    if opened.sign == "${":
        head = _HEAD_OF_VARIABLE.match(text, start)
        if head is None:
            raise _fault(text, at, "a variable needs a name, as in ${color}; a literal `{` is `\\{`")
        return head.end() - at
    _refuse_sampler(text, start)
    head = _HEAD.match(text, start)
    end = head.end() if head else start
    weight = _WEIGHT.match(text, end)
    return (weight.end() if weight else end) - at


def _after_bar(text: str, at: int, stack: list[_Open]) -> int:
    """Return the length of a `|` with the weight of the option behind it."""
    weight = _WEIGHT.match(text, at + 1)
    return weight.end() - at if weight and stack[-1].sign == "{" else 1


def _wildcard(text: str, at: int, end: int) -> tuple[int, int]:
    """Return where a wildcard begins in a run of underscores, and how far it is from `at` to its end.

    Without one, the run is literal, as in `^__^` and `a__b`: both numbers are about its end.
    """
    for begins in range(at, end - 1):
        wildcard = _WILDCARD.match(text, begins)
        if wildcard is not None:
            _refuse_sampler(text, begins + 2)
            return begins, wildcard.end() - at
    is_left, is_right = text[at - 1 : at].isalnum(), text[end : end + 1].isalnum()
    if is_left != is_right:
        raise _fault(text, at, "a wildcard is __name__, and literal underscores are `\\_\\_`")
    return end, end - at


def _closed(stack: list[_Open], text: str, at: int) -> None:
    """Take the brace that `}` closes from the stack, and the brackets within it that nothing closes."""
    while stack:
        opened = stack.pop()
        if opened.sign not in _PAIRS:
            if opened.delimiters:
                raise _fault(text, opened.at, "a wrapper is %{front ... back $$ choice}")
            return
    raise _fault(text, at, "no `{` opens this brace; a literal one is `\\}`")


def _refuse_open(stack: list[_Open], text: str) -> None:
    for opened in stack:
        if opened.sign not in _PAIRS:
            raise _fault(text, opened.at, "no `}` closes this brace; a literal one is `\\{`")


def _refuse_sampler(text: str, at: int) -> None:
    sampler = _SAMPLER.match(text, at)
    if sampler is not None:
        raise _fault(
            text, sampler.start(1),
            "`!` and `@` ask for all options in turn, and a shot has one; take the sign out, or write `\\!`",
        )  # fmt: skip


def _fault(text: str, at: int, problem: str) -> ChoiceSyntaxError:
    return ChoiceSyntaxError(f"'{in_one_line(text[at : at + 20])}': {problem}", at + 1)
