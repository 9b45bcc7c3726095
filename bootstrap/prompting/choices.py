"""Choices in prompts: `{red|blue} hat`, `__places__`, made with a shot's seed. The syntax is Dynamic Prompts'.

A prompt is parsed tag by tag; a tag without this syntax is left unchanged, and one with malformed syntax is refused.
"""

import dataclasses
import logging
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from random import Random

import pyparsing
from dynamicprompts.commands import Command, LiteralCommand, VariantCommand, VariantOption, WildcardCommand
from dynamicprompts.enums import SamplingMethod
from dynamicprompts.parser.parse import parse
from dynamicprompts.samplers.base import Sampler
from dynamicprompts.samplers.random import RandomSampler
from dynamicprompts.sampling_context import SamplingContext
from dynamicprompts.sampling_result import SamplingResult
from dynamicprompts.types import ResultGen

from bootstrap import captions
from bootstrap.errors import UserError, in_one_line
from bootstrap.prompting import choice_syntax, wildcards
from bootstrap.shots import Shot

logging.getLogger("dynamicprompts").setLevel(logging.ERROR)  # its warnings are errors here

_SIGN = re.compile(r"[{}]|__")
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

    def of_shot(self, shot: Shot) -> Shot:
        """Return the shot with the choices made in its prompts and in the tags that it adds.

        Raises:
            UserError: see `chosen`.
        """
        if not any(_SIGN.search(text) for text in (shot.prompt, shot.negative_prompt)):
            return shot
        tags = self._tags(shot.prompt, Random(f"{shot.seed} prompt"), "prompt")
        negative = self._tags(shot.negative_prompt, Random(f"{shot.seed} negative prompt"), "negative prompt")
        if all(before == after for before, after in [*tags, *negative]):
            return shot
        chosen_tags = {before.strip(): after.strip() for before, after in tags}
        return dataclasses.replace(
            shot,
            prompt=",".join(after for _, after in tags),
            negative_prompt=",".join(after for _, after in negative),
            added=tuple(
                ", ".join(
                    chosen_tags.get(tag, tag)
                    for tag in map(str.strip, _written_tags(captions.join(captions.parse_prompt(text))))
                )
                for text in shot.added
            ),
        )

    def chosen(self, text: str, seed: int) -> str:
        """Return a text with its choices made; the same text and seed give the same result.

        Raises:
            UserError: a choice cannot be parsed, and where; a wildcard file is missing, empty or too large, or refers
                to itself, or the choices multiply.
        """
        return ",".join(after for _, after in self._tags(text, Random(f"{seed} prompt"), "prompt"))

    def _tags(self, text: str, random: Random, where: str) -> list[tuple[str, str]]:
        """Return the tags of a text as (tag, tag with its choices made)."""
        try:
            wildcards.check_braces(text)
            prepared = choice_syntax.prepared(text)
        except choice_syntax.ChoiceSyntaxError as error:
            raise UserError(f"{where}, character {error.column}: {error}") from None
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        context = _Bounded(SamplingMethod.RANDOM, self._wildcards, _SAMPLERS, rand=random)
        return [
            (choice_syntax.as_written(tag), choice_syntax.as_written(self._choose(tag, context, where)))
            for tag in choice_syntax.tags_of(prepared)
        ]

    def _choose(self, tag: str, context: "_Bounded", where: str) -> str:
        if not choice_syntax.is_choice(tag):
            return tag
        place = f"{where} '{in_one_line(choice_syntax.as_written(tag).strip())}'"
        if wildcards.depth(tag) > wildcards.DEEPEST:
            raise UserError(f"{place}: braces are nested {wildcards.DEEPEST} levels deep at most")
        try:
            return str(next(iter(context.sample_prompts(tag, 1)), tag))
        except pyparsing.ParseBaseException as error:
            raise UserError(
                f"{place}, character {error.col}: its choices cannot be parsed; see docs/prompts.md, or write a "
                "literal brace as `\\{`"
            ) from None
        except RecursionError:
            raise UserError(f"{place}: its wildcards name each other without end") from None
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            reason = in_one_line(choice_syntax.as_written(str(error.args[0] if error.args else error)))
            raise UserError(f"{place}: its choices cannot be made: {reason}") from None

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
        if not isinstance(prompt, str):
            return super().sample_prompts(prompt, num_prompts)
        self.budget.spend(len(prompt))
        place = getattr(self.wildcard_manager, "places", {}).get(prompt)
        try:
            return super().sample_prompts(prompt, num_prompts)
        except pyparsing.ParseBaseException as error:
            if place is None:
                raise
            raise UserError(f"{place.at(error.col)}: its choices cannot be parsed") from None


class _Sampler(RandomSampler):
    """The library's sampler, with weights where it mixes them up or leaves them out."""

    def _get_variant_choices(
        self, values: list[Command], weights: list[float], num_choices: int, rand: Random
    ) -> list[Command]:
        """Draw several options without repeats; the library takes the wrong weight away with each."""
        left = list(zip(values, weights, strict=True))
        if len(left) == 1:
            return values
        chosen: list[Command] = []
        for _ in range(num_choices):
            drawn = rand.choices(range(len(left)), weights=[weight for _, weight in left], k=1)[0]
            chosen.append(left.pop(drawn)[0])
        return chosen

    def _get_variant(self, command: VariantCommand, context: SamplingContext) -> ResultGen:
        """Draw several lines of a wildcard by their weights; the library repeats lines instead."""
        while len(command.values) == 1 and isinstance(command.values[0], WildcardCommand):
            wildcard = command.values[0]
            name = next(iter(context.sample_prompts(wildcard.wildcard, 1))).text
            options = [
                VariantOption(parse(line, parser_config=context.parser_config), weight)
                for line, weight in wildcards.lines_to_parse(context.wildcard_manager.get_values(name))
            ]
            command = dataclasses.replace(
                command, variants=options, sampling_method=wildcard.sampling_method
            ).adjust_range()
        yield from super()._get_variant(command, context)


_SAMPLERS: dict[SamplingMethod, Sampler] = {SamplingMethod.RANDOM: _Sampler()}


def _written_tags(text: str) -> Iterable[str]:
    return map(choice_syntax.as_written, choice_syntax.tags_of(choice_syntax.prepared(text)))
