"""The wildcard files of some folders, within limits: they may come from somebody else, and may name each other.

The files are Dynamic Prompts': NAME.txt with one choice per line, and .json and .yaml files of named lists.
"""

import dataclasses
import difflib
import itertools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dynamicprompts.wildcards import WildcardManager
from dynamicprompts.wildcards.collection import WildcardCollection
from dynamicprompts.wildcards.item import WildcardItem
from dynamicprompts.wildcards.tree import WildcardTree
from dynamicprompts.wildcards.utils import combine_name_parts
from dynamicprompts.wildcards.values import WildcardValues

from bootstrap import captions, reading
from bootstrap.errors import UserError, in_one_line
from bootstrap.prompting import choice_syntax

DEEPEST = 8  # nested braces; the parser's time grows fast with the depth
MOST_BRACES = 300  # of a prompt or a line; each takes the parser a few milliseconds
MOST_FILES = 20_000  # in the wildcard folders, and lists in a .json or .yaml file
MOST_BYTES = 10_000_000  # of a file
MOST_LINES = 200_000  # of a wildcard
MOST_PARSED = 2000  # lines of a wildcard that {2$$__name__} takes several of: all of them are parsed
_ENDINGS = (".txt", ".json", ".yaml")
_COMMENT = re.compile(r"(?<!\\)#.*")
_WEIGHT = re.compile(r"\s*(\d{1,15}\.?\d{0,15}|\.\d{1,15})::")


Line = str | WildcardItem  # an item has a weight


class Place(NamedTuple):
    """Where a line stands."""

    where: str  # such as `wildcards /path/hats.txt, line 3`
    before: int = 0  # characters before it in its line of the file

    def at(self, column: int) -> str:
        """Return the place of a character of the line, counted from 1."""
        return f"{self.where}, column {self.before + column}"


class TextLines(WildcardCollection):
    """The lines of a wildcard, with where each stands."""

    def __init__(self, lines: list[tuple[Line, Place]], problem: str = "") -> None:
        """Keep the lines.

        Args:
            lines: each with its place.
            problem: why they cannot be used; "": they can.
        """
        self.lines, self._problem = lines, problem

    def get_values(self) -> list[Line]:
        """Return the lines.

        Raises:
            UserError: they cannot be used.
        """
        if self._problem:
            raise UserError(self._problem)
        return [line for line, _ in self.lines]


def lines_to_parse(values: WildcardValues) -> list[tuple[str, float]]:
    """Return the lines of a wildcard that several are taken from, each with its weight.

    Raises:
        ValueError: these are more than MOST_PARSED.
    """
    if len(values) > MOST_PARSED:
        raise ValueError(f"several are taken from a wildcard of {MOST_PARSED:,} lines at most")
    return [(str(item), getattr(item, "weight", 1.0)) for item in values.items]


class Wildcards(WildcardManager):
    """The library's wildcards; a missing one is an error, and so is one beyond the limits."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Remember the folders; earlier ones take precedence."""
        super().__init__(root_map={"": list(folders)})
        self._folders = folders
        self._checked: dict[str, WildcardValues] = {}
        self.places: dict[str, Place] = {}  # of the lines that were read so far, as the library parses them

    @cached_property
    def tree(self) -> WildcardTree:
        """The files by name.

        Raises:
            UserError: there are too many, or one is too large or no regular file.
        """
        found: dict[str, WildcardCollection] = {}
        for folder in reversed(self._folders):
            for path in _files(folder):
                found.update(_collections(path, folder))
        return WildcardTree.from_map(found)

    def get_values(self, wildcard: str) -> WildcardValues:
        """Return the lines of a wildcard.

        Raises:
            UserError: there is no such file, or it has no line, too many, or one that is too long or nested too deep.
        """
        if wildcard in self._checked:
            return self._checked[wildcard]
        values = super().get_values(wildcard)
        name = in_one_line(wildcard)
        if not values:
            known = sorted(self.get_collection_names())
            near = difflib.get_close_matches(wildcard, known, n=1, cutoff=0.5)
            hint = f"did you mean __{near[0]}__?" if near else f"known: {', '.join(known[:10]) or 'none'}"
            raise UserError(
                f"wildcard __{name}__: there is no {name}.txt with choices in a folder 'wildcards' of the "
                f"project or the workspace ({hint})"
            )
        if len(values) > MOST_LINES:
            raise UserError(
                f"wildcard __{name}__: it has {len(values):,} lines, {MOST_LINES:,} at most are read"
            )
        places = self._places(wildcard)
        prepared = []
        for line in values.items:
            place = places.get(line, Place(f"wildcard __{name}__"))
            prepared.append(_prepared(line, place))
            self.places.setdefault(str(prepared[-1]), place)
        if not any(getattr(item, "weight", 1.0) for item in prepared):
            raise UserError(f"wildcard __{name}__: the weight of all its lines is 0")
        self._checked[wildcard] = WildcardValues.from_items(prepared)
        return self._checked[wildcard]

    def _places(self, wildcard: str) -> dict[Line, Place]:
        """Return where each line of a wildcard stands; found as the library finds the lines."""
        found = list(self.match_collections(wildcard)) or list(self.match_collections(f"**/{wildcard}"))
        return {
            line: place
            for lines in reversed(found)
            if isinstance(lines, TextLines)
            for line, place in reversed(lines.lines)
        }


def _prepared(line: Line, place: Place) -> Line:
    """Return a line for the library to parse.

    Raises:
        UserError: it is too long, nested too deep, or malformed.
    """
    text = str(line)
    try:
        captions.check_length(text, "a line")
        check_braces(text)
        if depth(text) > DEEPEST:
            raise ValueError(
                f"braces are nested {DEEPEST} levels deep at most, not so in '{in_one_line(text[:40])}'"
            )
        prepared = choice_syntax.prepared(text)
    except choice_syntax.ChoiceSyntaxError as error:
        raise UserError(f"{place.at(error.column)}: {error}") from None
    except ValueError as error:
        raise UserError(f"{place.where}: {error}") from None
    return dataclasses.replace(line, content=prepared) if isinstance(line, WildcardItem) else prepared


def check_braces(text: str) -> None:
    """Make sure that a text has no more than MOST_BRACES opening braces.

    Raises:
        ValueError: it has more.
    """
    braces = text.count("{")
    if braces > MOST_BRACES:
        raise ValueError(
            f"a prompt has {MOST_BRACES} braces at most, and here it has {braces:,}: '{in_one_line(text[:40])}'"
        )


def depth(text: str) -> int:
    """Return how deep the braces of a text are nested."""
    deepest = depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        deepest = max(deepest, depth)
    return deepest


def _files(folder: Path) -> Iterator[Path]:
    """Yield the wildcard files of a folder and of the folders within, links included, each folder once.

    Raises:
        UserError: there are too many.
    """
    seen: set[str] = set()
    count = 0
    for place, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:  # a link to a folder above would be followed without end
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place) / name
            if path.suffix.lower() not in _ENDINGS:
                continue
            count += 1
            if count > MOST_FILES:
                raise UserError(f"wildcards {folder}: there are more than {MOST_FILES:,} files")
            if path.exists():
                yield path


def _collections(path: Path, folder: Path) -> Mapping[str, WildcardCollection]:
    """Return the lists of a file by their names: the file's own path, or its folder's and the key within the file.

    Raises:
        UserError: it is no regular file, no UTF-8 or UTF-16 text, too long, or not valid JSON or YAML.
    """
    inside, where, ending = path.relative_to(folder), f"wildcards {path}", path.suffix.lower()
    text = reading.text_file(path, where, reading.MOST_BYTES_OF_YAML if ending == ".yaml" else MOST_BYTES)
    if ending == ".txt":
        return {inside.with_suffix("").as_posix(): TextLines(list(_lines(text, where)))}
    value = (
        reading.parse_json(text, where, "correct it, or take it out")
        if ending == ".json"
        else reading.parse_yaml(text, where)
    )
    prefix = inside.parent.as_posix().removeprefix(".")
    if isinstance(value, list):  # one list, by the file's name
        value = {path.stem: value}
    named = dict(itertools.islice(_lists(value, (), where), MOST_FILES + 1))
    if len(named) > MOST_FILES:
        raise UserError(f"wildcards {path}: it has more than {MOST_FILES:,} lists")
    return {combine_name_parts(prefix, name): lines for name, lines in named.items()}


def _lines(text: str, where: str) -> Iterator[tuple[Line, Place]]:
    """Yield the choices of a .txt file: one a line, perhaps with a weight, without comments."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        uncommented = _COMMENT.sub("", line).strip()
        if uncommented:
            choice = _weighed(uncommented)
            before = line.index(uncommented) + len(uncommented) - len(str(choice))
            yield choice, Place(f"{where}, line {number}", before)


def _weighed(text: str) -> Line:
    weight = _WEIGHT.match(text)
    content = text[weight.end() :].strip() if weight else ""
    return WildcardItem(content, float(weight[1])) if weight and content else text


def _lists(value: Any, names: tuple[str, ...], where: str) -> Iterator[tuple[str, TextLines]]:
    """Yield the lists in a JSON or YAML file by their keys, joined by "/"; other values are no wildcards."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lists(inner, (*names, str(key)), where)
    elif names and value and isinstance(value, str | list):
        name, lines, problem = "/".join(names), list[tuple[Line, Place]](), ""
        for number, item in enumerate([value] if isinstance(value, str) else value):
            place = f"{where}, {name}[{number}]"
            try:
                lines += [] if item in (None, "") else [(_item(item, place), Place(place))]
            except UserError as error:
                problem = problem or str(error)
        if lines or problem:
            yield name, TextLines(lines, problem)


def _item(item: Any, place: str) -> Line:
    """Return an entry of a list: a text, perhaps with a weight, or an object with `text` or `content` and `weight`.

    Raises:
        UserError: it is something else.
    """
    if isinstance(item, str):
        return _weighed(item)
    if isinstance(item, dict):
        content, weight = item.get("text") or item.get("content"), item.get("weight", 1)
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if isinstance(content, str) and is_number and 0 <= weight < math.inf:
            return content if weight == 1 else WildcardItem(content, float(weight))
    if isinstance(item, int | float) and not isinstance(item, bool):
        return f"{item}"
    raise UserError(f"{place}: a choice is a text, or has `text` and a `weight` that is not negative")
