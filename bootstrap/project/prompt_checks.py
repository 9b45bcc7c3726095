"""Check every prompt of a project's settings against what its base model can read, before any work."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import AfterValidator, BaseModel

from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec, Family
from bootstrap.project.settings import Settings
from bootstrap.prompting import parse
from bootstrap.recipes.setting_types import within_limits, without_comments

_SYNTAX = (within_limits, without_comments)  # the validators of texts in prompt syntax
_AS_NEGATIVE = "as_negative"  # of the recipe `eliminate`: writes the negative prompt itself


def check(settings: Settings, base: BaseModelSpec, where: str) -> None:
    """Refuse prompts, and drawing settings of recipes, that a base model's family cannot honour.

    A hub model that is not on this machine passes unchecked. What wildcards and LoRA files bring into prompts is
    checked when a run begins.

    Args:
        where: the settings' file, for the message.

    Raises:
        UserError: the message names the setting and the family.
    """
    family = specs.family(base)
    if family is None:
        return
    files = specs.files(base)
    for number, recipe in enumerate(settings.recipe, 1):
        _check_fixed(recipe.model_dump(), family, f"{where}: 'recipe[{number}]")
    try:
        family.check_prompt(settings.project.caption, files)
    except ValueError as error:
        raise UserError(f"{where}: 'project.caption': {error}") from None
    for name, prompt in _prompts(settings, ""):
        try:
            for spans in parse.spans_of(prompt, settings.drawing.steps):
                family.check_prompt(spans, files)
        except ValueError as error:
            raise UserError(f"{where}: '{name}': {error}") from None


def _check_fixed(recipe: dict[str, Any], family: Family, where: str) -> None:
    """Refuse a recipe's own value of a setting that the family fixes, such as the negative prompt."""
    fixed = family.fixed.get("drawing", {})
    for key, value in recipe.items():
        name = "negative_prompt" if key == _AS_NEGATIVE and value else key.removeprefix("hires_")
        if name in fixed and value and value != fixed[name]:
            raise UserError(
                f"{where}.{key}' is {value!r}, but {family.title} supports only {name} {fixed[name]!r}; leave it out"
            )
        for inner in value if isinstance(value, list) else ():
            if isinstance(inner, dict):
                _check_fixed(inner, family, where)


def _prompts(section: BaseModel, name: str) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each setting in prompt syntax, without empty ones."""
    for key, field in type(section).model_fields.items():
        value, path = getattr(section, key), f"{name}.{key}" if name else key
        for number, item in enumerate(value if isinstance(value, list) else [value], 1):
            place = f"{path}[{number}]" if isinstance(value, list) else path
            if isinstance(item, BaseModel):
                yield from _prompts(item, place)
            elif isinstance(item, str) and item and _has_syntax(field.annotation, field.metadata):
                yield place, item


def _has_syntax(annotation: Any, metadata: Any) -> bool:
    """Whether a setting, or the entries of its list, are texts in prompt syntax."""
    parts = [*metadata, *get_args(annotation)]
    return any(
        part.func in _SYNTAX if isinstance(part, AfterValidator) else _has_syntax(part, ()) for part in parts
    )
