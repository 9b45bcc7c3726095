"""Choices in prompts: `{red|blue} hat`, `__places__`, made with a shot's seed. The syntax is Dynamic Prompts'.

A prompt is parsed tag by tag; a tag without this syntax, or with malformed syntax, is left unchanged.
"""

import dataclasses
import difflib
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from random import Random

import pyparsing
from dynamicprompts.enums import SamplingMethod
from dynamicprompts.sampling_context import SamplingContext
from dynamicprompts.wildcards import WildcardManager
from dynamicprompts.wildcards.values import WildcardValues

from bootstrap import reading
from bootstrap.errors import UserError, in_one_line
from bootstrap.shots import Shot

logging.getLogger("dynamicprompts").setLevel(logging.ERROR)  # its warnings are errors here

_SIGN = re.compile(r"\{[^{}]*\}|__[^_\s].*?__")
_DEEPEST = 8  # nested braces; the parser's time grows fast with the depth


class Choices:
    """Make the choices in prompts, with the wildcard files of some folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Remember the folders; they are read when a prompt uses a wildcard.

        Args:
            folders: each holds NAME.txt files with one choice per line; earlier folders take precedence.
        """
        self._folders = [folder for folder in folders if folder.is_dir()]

    def of_shot(self, shot: Shot, names: Collection[str] = ()) -> Shot:
        """Return the shot with the choices made in its prompts and in the tags that it adds.

        Args:
            names: tags to leave as they are, such as the caption's own.

        Raises:
            UserError: see `chosen`.
        """
        if not any(_SIGN.search(text) for text in (shot.prompt, shot.negative_prompt)):
            return shot
        tags = self._tags(shot.prompt, Random(f"{shot.seed} prompt"), names)
        negative = self._tags(shot.negative_prompt, Random(f"{shot.seed} negative prompt"), ())
        if all(before == after for before, after in [*tags, *negative]):
            return shot
        chosen_tags = {before.strip(): after.strip() for before, after in tags}
        return dataclasses.replace(
            shot,
            prompt=",".join(after for _, after in tags),
            negative_prompt=",".join(after for _, after in negative),
            added=tuple(
                ", ".join(chosen_tags.get(tag.strip(), tag.strip()) for tag in _split(text))
                for text in shot.added
            ),
        )

    def chosen(self, text: str, seed: int) -> str:
        """Return a text with its choices made; the same text and seed give the same result.

        Raises:
            UserError: a wildcard file is missing or empty, or refers to itself.
        """
        return ",".join(after for _, after in self._tags(text, Random(f"{seed} prompt"), ()))

    def _tags(self, text: str, random: Random, names: Collection[str]) -> list[tuple[str, str]]:
        """Return the tags of a text as (tag, tag with its choices made)."""
        return [
            (tag, tag if tag.strip() in names or not _SIGN.search(tag) else self._choose(tag, random))
            for tag in _split(text)
        ]

    def _choose(self, tag: str, random: Random) -> str:
        context = SamplingContext(SamplingMethod.RANDOM, self._wildcards, rand=random)
        if _depth(tag) > _DEEPEST:
            return tag
        try:
            return str(next(iter(context.sample_prompts(tag, 1)), tag))
        except pyparsing.ParseBaseException:
            return tag
        except RecursionError:
            raise UserError(
                f"prompt '{in_one_line(tag)}': its wildcards name each other without end"
            ) from None
        except (KeyError, ValueError, IndexError) as error:
            reason = in_one_line(str(error.args[0] if error.args else error))
            raise UserError(f"prompt '{in_one_line(tag)}': its choices cannot be made: {reason}") from None

    @cached_property
    def _wildcards(self) -> "_Wildcards":
        for folder in self._folders:
            _check_files(folder)
        return _Wildcards(self._folders)


def _check_files(folder: Path) -> None:
    """Refuse wildcard files that the library would wait for, read in part or end on with an exception.

    Raises:
        UserError: one is no regular file, no UTF-8 text, too long, or not valid JSON or YAML.
    """
    for path in sorted(folder.rglob("*")):
        kind, where = path.suffix, f"wildcards {path}"
        if kind not in (".txt", ".json", ".yaml") or path.is_dir():
            continue
        try:
            text = reading.text_file(
                path, where, reading.MOST_BYTES_OF_YAML if kind == ".yaml" else reading.MOST_BYTES
            )
        except FileNotFoundError:  # a link that leads nowhere
            continue
        if kind == ".json":
            reading.parse_json(text, where, "correct it, or take it out")
        elif kind == ".yaml":
            reading.parse_yaml(text, where)


class _Wildcards(WildcardManager):
    """The library's wildcards; a missing one is an error."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__(root_map={"": list(reversed(folders))})  # the library gives later ones precedence
        self._folders = folders

    def get_values(self, wildcard: str) -> WildcardValues:
        values = super().get_values(wildcard)
        if not values:
            name = in_one_line(wildcard)
            known = sorted(self.get_collection_names())
            near = difflib.get_close_matches(wildcard, known, n=1, cutoff=0.5)
            hint = f"did you mean __{near[0]}__?" if near else f"known: {', '.join(known[:10]) or 'none'}"
            raise UserError(
                f"wildcard __{name}__: there is no {name}.txt with choices in a folder 'wildcards' of the "
                f"project or the workspace ({hint})"
            )
        return values


def _split(text: str) -> Iterator[str]:
    """Yield the tags of a text, unstripped; a comma within braces does not separate tags."""
    depth = start = 0
    for at, sign in enumerate(text):
        depth = max(0, depth + (sign == "{") - (sign == "}"))
        if sign == "," and (not depth or "}" not in text[at:]):
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _depth(text: str) -> int:
    deepest = depth = 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        deepest = max(deepest, depth)
    return deepest
