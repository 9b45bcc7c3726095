"""The wildcard files of some folders, within limits: they may come from somebody else, and may name each other.

The files are Dynamic Prompts': NAME.txt with one choice per line, and .json and .yaml files of named lists.
"""

import difflib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from dynamicprompts.wildcards import WildcardManager
from dynamicprompts.wildcards.collection import WildcardCollection, WildcardTextFile
from dynamicprompts.wildcards.collection.structured import parse_structured_file
from dynamicprompts.wildcards.tree import WildcardTree
from dynamicprompts.wildcards.utils import combine_name_parts
from dynamicprompts.wildcards.values import WildcardValues

from bootstrap import captions, reading
from bootstrap.errors import UserError, in_one_line

DEEPEST = 8  # nested braces; the parser's time grows fast with the depth
MOST_BRACES = 300  # of a prompt or a line; each takes the parser a few milliseconds
MOST_FILES = 20_000  # in the wildcard folders, and lists in a .json or .yaml file
MOST_BYTES = 10_000_000  # of a file
MOST_LINES = 200_000  # of a wildcard
MOST_PARSED = 2000  # lines of a wildcard that {2$$__name__} takes several of: all of them are parsed
_ENDINGS = (".txt", ".json", ".yaml")


class Values(WildcardValues):
    """The lines of a wildcard."""

    def iterate_string_values_weighted(self) -> Iterator[str]:
        """Yield each line as often as its weight says, for `{2$$__name__}`.

        Raises:
            ValueError: these are more than MOST_PARSED.
        """
        lines = super().iterate_string_values_weighted()
        yield from itertools.islice(lines, MOST_PARSED)
        if next(lines, None) is not None:
            raise ValueError(f"several are taken from a wildcard of {MOST_PARSED:,} lines at most")


class Wildcards(WildcardManager):
    """The library's wildcards; a missing one is an error, and so is one beyond the limits."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Remember the folders; earlier ones take precedence."""
        super().__init__(root_map={"": list(folders)})
        self._folders = folders
        self._checked: dict[str, Values] = {}

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
        for line in values.string_values:
            try:
                captions.check_length(line, "a line")
                check_braces(line)
                if depth(line) > DEEPEST:
                    raise ValueError(
                        f"braces are nested {DEEPEST} levels deep at most, not so in '{in_one_line(line[:40])}'"
                    )
            except ValueError as error:
                raise UserError(f"wildcard __{name}__: {error}") from None
        self._checked[wildcard] = Values(values.items)
        return self._checked[wildcard]


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
        UserError: there are too many, or one is too large or no regular file.
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
            if path.suffix not in _ENDINGS:
                continue
            count += 1
            if count > MOST_FILES:
                raise UserError(f"wildcards {folder}: there are more than {MOST_FILES:,} files")
            if path.exists():
                _check_file(path)
                yield path


def _check_file(path: Path) -> None:
    """Refuse a file that the library would wait for, read in part or end on with an exception.

    Raises:
        UserError: it is no regular file, no UTF-8 text, too long, or not valid JSON or YAML.
    """
    where = f"wildcards {path}"
    most = reading.MOST_BYTES_OF_YAML if path.suffix == ".yaml" else MOST_BYTES
    text = reading.text_file(path, where, most)
    if path.suffix == ".json":
        reading.parse_json(text, where, "correct it, or take it out")
    elif path.suffix == ".yaml":
        reading.parse_yaml(text, where)


def _collections(path: Path, folder: Path) -> Mapping[str, WildcardCollection]:
    """Return the lists of a file by their names: the file's own path, or its folder's and the key within the file."""
    inside = path.relative_to(folder)
    if path.suffix == ".txt":
        return {inside.with_suffix("").as_posix(): WildcardTextFile(path)}
    prefix = inside.parent.as_posix().removeprefix(".")
    try:
        if path.suffix == ".yaml" and _has_aliases(path):
            raise UserError(
                f"wildcards {path}: it has aliases (*name), which may multiply; write the lists out"
            )
        named = dict(itertools.islice(parse_structured_file(path), MOST_FILES + 1))
    except UserError:
        raise
    except Exception:  # the library skips what it cannot read
        return {}
    if len(named) > MOST_FILES:
        raise UserError(f"wildcards {path}: it has more than {MOST_FILES:,} lists")
    return {combine_name_parts(prefix, name): values for name, values in named.items()}


def _has_aliases(path: Path) -> bool:
    import yaml  # takes time, and few use these files

    with path.open("rb") as file:
        return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(file))
