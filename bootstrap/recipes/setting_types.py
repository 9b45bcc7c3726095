"""The types of settings: sections, ranges of strengths and snapshots, tags; and the most similar known word."""

import difflib
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    model_validator,
)

from bootstrap import captions
from bootstrap.prompting import choice_syntax, parse

MOST_LISTED = 1000  # entries of a list of settings
_MOST_IN_RANGE = 1000


def _span(default_step: float) -> Callable[[Any], Any]:
    """Return a function that reads a number, a list of numbers or `{ from, to, step }` as a list of numbers."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value if isinstance(value, list) else [value]
        numbers = {"step": default_step, **value}
        if set(numbers) != {"from", "to", "step"} or not all(map(_is_number, numbers.values())):
            raise ValueError("a range is written { from = 0.5, to = 0.7, step = 0.1 }")
        low, high, step = numbers["from"], numbers["to"], numbers["step"]
        if step <= 0 or high < low:
            raise ValueError("a range needs from <= to and step > 0")
        if (high - low) / step > _MOST_IN_RANGE:
            raise ValueError(f"a range has {_MOST_IN_RANGE} values at most: use a larger step")
        count = int((high - low) / step + 1e-6) + 1
        return [round(low + step * i, 6) for i in range(count)]

    return read


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= 10**9  # a larger one may not fit into a float
    return isinstance(value, float) and math.isfinite(value)


Strengths = Annotated[
    list[Annotated[float, Field(ge=0.0, le=2.0)]], BeforeValidator(_span(0.1)), Field(min_length=1)
]
_Epochs = Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(_span(1)), Field(min_length=1)]
# A text can only mean "auto", anything else only epochs, so the message of a mistake is about what was meant.
TEXT, NUMBERS = "<text>", "<numbers>"
Snapshots = Annotated[
    Annotated[Literal["auto"], pydantic.Tag(TEXT)] | Annotated[_Epochs, pydantic.Tag(NUMBERS)],
    Discriminator(lambda value: TEXT if isinstance(value, str) else NUMBERS),
]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# A tag of the caption, which is words: `saber \\(fate\\)` means `saber (fate)`.
CaptionTag = Annotated[Tag, AfterValidator(captions.without_escapes)]
Count = Annotated[int, Field(ge=1, le=100_000)]
DenoisingStrength = Annotated[float, Field(ge=0.05, le=1.0)]


def without_comments(text: str) -> str:
    """Return a text for a prompt without its comments.

    Raises:
        ValueError: the text is nothing but a comment, or its choices cannot be parsed.
    """
    uncommented = parse.without_comments(text).strip()
    if not uncommented:
        raise ValueError(f"'{text}' is nothing but a comment: write something before the #, or take it out")
    choice_syntax.check(uncommented)
    return within_limits(uncommented)


def within_limits(text: str) -> str:
    """Return a text in prompt syntax.

    Raises:
        ValueError: it is beyond the limits of a prompt, see `parse.check`.
    """
    parse.check(text)
    return text


def with_choices(text: str) -> str:
    """Return a text in prompt syntax, with its comments.

    Raises:
        ValueError: its choices cannot be parsed.
    """
    choice_syntax.check(parse.without_comments(text))
    return text


# A text in prompt syntax, which may be empty and keeps its comments.
AnyPrompt = Annotated[str, AfterValidator(within_limits), AfterValidator(with_choices)]
# A text in prompt syntax, without its comments. A tag of the caption is a name instead, in which # has no meaning.
PromptText = Annotated[Tag, AfterValidator(without_comments)]


class Section(BaseModel):
    """A table of project.toml; unknown keys, too long texts and too long lists are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _not_too_long(cls, table: Any) -> Any:
        for name, value in table.items() if isinstance(table, dict) else ():
            if isinstance(value, str):
                captions.check_length(value, str(name))
            if isinstance(value, list) and len(value) > MOST_LISTED:
                raise ValueError(
                    f"{name} has {MOST_LISTED:,} entries at most, and here it has {len(value):,}"
                )
        return table


def nearest(word: str, known: list[str]) -> str:
    """Return ` (did you mean '...'?)` with the most similar known word, or ""."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""
