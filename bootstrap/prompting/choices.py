"""Choices in prompts: `{red|blue} hat`, `__places__`, made with a shot's seed. The syntax is Dynamic Prompts'.

A prompt is parsed tag by tag; a tag without this syntax, or with malformed syntax, is left unchanged.
"""

import dataclasses
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from random import Random

import pyparsing
from dynamicprompts.commands import Command, LiteralCommand
from dynamicprompts.enums import SamplingMethod
from dynamicprompts.sampling_context import SamplingContext
from dynamicprompts.sampling_result import SamplingResult
from dynamicprompts.types import ResultGen

from bootstrap.errors import UserError, in_one_line
from bootstrap.prompting import wildcards
from bootstrap.shots import Shot

logging.getLogger("dynamicprompts").setLevel(logging.ERROR)  # its warnings are errors here

_SIGN = re.compile(r"\{[^{}]*\}|__[^_\s].*?__")
# What the choices of a prompt may take.
MOST_STEPS = 2000
MOST_CHARACTERS = 100_000


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
            UserError: a wildcard file is missing, empty or too large, or refers to itself, or the choices multiply.
        """
        return ",".join(after for _, after in self._tags(text, Random(f"{seed} prompt"), ()))

    def _tags(self, text: str, random: Random, names: Collection[str]) -> list[tuple[str, str]]:
        """Return the tags of a text as (tag, tag with its choices made)."""
        try:
            wildcards.check_braces(text)
        except ValueError as error:
            raise UserError(f"prompt: {error}") from None
        context = _Bounded(SamplingMethod.RANDOM, self._wildcards, rand=random)
        return [
            (tag, tag if tag.strip() in names or not _SIGN.search(tag) else self._choose(tag, context))
            for tag in _split(text)
        ]

    def _choose(self, tag: str, context: "_Bounded") -> str:
        if wildcards.depth(tag) > wildcards.DEEPEST:
            return tag
        try:
            return str(next(iter(context.sample_prompts(tag, 1)), tag))
        except pyparsing.ParseBaseException:
            return tag
        except RecursionError:
            raise UserError(
                f"prompt '{in_one_line(tag)}': its wildcards name each other without end"
            ) from None
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            reason = in_one_line(str(error.args[0] if error.args else error))
            raise UserError(f"prompt '{in_one_line(tag)}': its choices cannot be made: {reason}") from None

    @cached_property
    def _wildcards(self) -> wildcards.Wildcards:
        return wildcards.Wildcards(self._folders)


class _Budget:
    """What the choices of a prompt may still take: wildcards that name each other multiply."""

    def __init__(self) -> None:
        self._steps, self._characters = MOST_STEPS, MOST_CHARACTERS

    def spend(self, characters: int) -> None:
        """Count one step.

        Raises:
            ValueError: the budget is spent.
        """
        self._steps -= 1
        self._characters -= characters
        if self._steps < 0 or self._characters < 0:
            raise ValueError(
                f"a prompt's choices take {MOST_STEPS:,} steps and {MOST_CHARACTERS:,} characters at most, and these "
                "multiply to more; do wildcards name each other several times?"
            )


@dataclasses.dataclass(frozen=True)
class _Bounded(SamplingContext):
    """The library's context, which each choice, text and wildcard passes through, with a budget."""

    budget: _Budget = dataclasses.field(default_factory=_Budget)

    def generator_from_command(self, command: Command) -> ResultGen:
        self.budget.spend(len(command.literal) if isinstance(command, LiteralCommand) else 0)
        return super().generator_from_command(command)

    def sample_prompts(
        self, prompt: str | Command, num_prompts: int | None = None
    ) -> Iterable[SamplingResult]:
        if isinstance(prompt, str):
            self.budget.spend(len(prompt))
        return super().sample_prompts(prompt, num_prompts)


def _split(text: str) -> Iterator[str]:
    """Yield the tags of a text, unstripped; a comma within braces does not separate tags."""
    depth = start = 0
    for at, sign in enumerate(text):
        depth = max(0, depth + (sign == "{") - (sign == "}"))
        if sign == "," and (not depth or "}" not in text[at:]):
            yield text[start:at]
            start = at + 1
    yield text[start:]
