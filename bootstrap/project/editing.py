"""Edit a project's settings for `sid set` and the app's forms; comments in project.toml stay."""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Item, Table

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.models import specs
from bootstrap.project import conflicts, prompt_checks, settings
from bootstrap.project.projects import Project, with_defaults

_RECIPE = re.compile(r"recipe\[(\d+)\]")


@dataclass(frozen=True)
class Edit:
    """A changed project.toml that has been checked but not written yet."""

    project: Project  # with the changed settings
    text: str

    def save(self) -> None:
        """Write project.toml."""
        write_text(self.project.toml, self.text)


def set_values(project: Project, assignments: list[str]) -> list[str]:
    """Write settings to project.toml, and return a line `key = value` for each; see assigned."""
    edit, lines = assigned(project, assignments)
    edit.save()
    return lines


def assigned(
    project: Project, assignments: list[str], before: Mapping[str, Any] | None = None
) -> tuple[Edit, list[str]]:
    """Return project.toml with changed settings, all or none, and a line `key = value` for each, then what to note.

    Args:
        assignments: such as `training.repeats=30`, `project.caption=woman, red apple`, `recipe[1].count=8`. A
            value is read as TOML; one that is not valid TOML is taken as text. `training.resolution=` without a
            value deletes the line.
        before: other values by key, which the assignments override.

    Raises:
        UserError: an assignment has another form, or the settings would be invalid.
    """
    values: dict[str, Any] = dict(before or {})
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or "." not in key:
            raise UserError(f"'{assignment}': write section.name=value, such as training.repeats=30")
        values[key.strip()] = _value(text.strip()) if text.strip() else None
    edit = edited(project, values)
    lines = [
        f"{key}: back to its default" if value is None else f"{key} = {tomlkit.item(value).as_string()}"
        for key, value in values.items()
    ]
    return edit, lines + [f"note: {note}" for note in conflicts.notes(*edit.project.settings_and_base)]


def edited(project: Project, values: Mapping[str, Any]) -> Edit:
    """Return project.toml with changed values.

    Args:
        values: by key, such as `training.repeats` or `recipe[1].count` (the first recipe); None deletes the line,
            which restores the default.

    Raises:
        UserError: there is no such table, or the settings would be invalid.
    """
    document = _document(project)
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        table = _table(project, document, section)
        if value is None:
            table.pop(name, None)
        elif name in table:
            table[name] = value
        else:
            _add_after_last_key(table, name, value)
    return _checked(project, document)


def with_recipe(project: Project, values: Mapping[str, Any]) -> Edit:
    """Return project.toml with a recipe appended.

    Args:
        values: of the `[[recipe]]` table, including its kind.

    Raises:
        UserError: the settings would be invalid.
    """
    document = _document(project)
    recipe = tomlkit.table()
    for name, value in values.items():
        recipe.add(name, _inline(value))
    recipes = document.setdefault("recipe", tomlkit.aot())
    _end_with_blank_line(document)
    recipes.append(recipe)
    return _checked(project, document)


def without_recipe(project: Project, number: int) -> Edit:
    """Return project.toml without one recipe, numbered from 1; comments below the recipe stay.

    Raises:
        UserError: there is no such recipe, or it is the only one.
    """
    document = _document(project)
    removed = _table(project, document, f"recipe[{number}]")
    recipes = document["recipe"]
    if len(recipes) == 1:
        raise UserError(
            f"project '{project.name}': it needs a recipe; add another one before you remove this one"
        )
    preceding = (
        recipes[number - 2]
        if number > 1
        else next(table for name, table in _tables(document) if name != "recipe")
    )
    for item in _pop_tail(removed):
        preceding.add(item)
    del recipes[number - 1]
    return _checked(project, document)


def with_text(project: Project, text: str, instead_of: str) -> Edit:
    """Return project.toml with an earlier text, to undo a change.

    Args:
        text: of the whole file.
        instead_of: what the file has to hold now, the text that the change had written.

    Raises:
        UserError: the file was changed since, or the settings would be invalid.
    """
    present = reading.text_file(project.toml, str(project.toml), reading.MOST_BYTES_OF_TOML)
    if present != instead_of:
        raise UserError(f"{project.toml}: it was changed since, so nothing is undone; change it by hand")
    return _checked(project, tomlkit.parse(text))


def with_other_project(project: Project, old: str, new: str) -> str | None:
    """Return project.toml with another name for another project wherever a recipe draws with that project's LoRA.

    Args:
        old: the other project's former name.
        new: its name now.

    Returns:
        None if no recipe names it.

    Raises:
        UserError: the file is not valid TOML.
    """
    document, recipes = _document(project), []
    for recipe in document.get("recipe", []):
        loras = recipe.get("loras", []) if isinstance(recipe, Mapping) else []
        recipes += [
            lora
            for lora in (loras if isinstance(loras, list) else [])
            if isinstance(lora, MutableMapping) and str(lora.get("lora")).strip() == old
        ]
    for lora in recipes:
        lora["lora"] = new
    return tomlkit.dumps(document) if recipes else None


def _document(project: Project) -> TOMLDocument:
    text = reading.text_file(project.toml, str(project.toml), reading.MOST_BYTES_OF_TOML)
    reading.parse_toml(text, str(project.toml))  # first: tomlkit itself takes long for hostile files
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError) as error:
        raise UserError(f"{project.toml}: not valid TOML: {error}") from None


def _tables(document: TOMLDocument) -> list[tuple[str, Table]]:
    return [(name, value) for name, value in reversed(list(document.items())) if isinstance(value, Table)]


def _table(project: Project, document: TOMLDocument, section: str) -> Table:
    recipe = _RECIPE.fullmatch(section)
    if recipe is not None:
        recipes, number = document.get("recipe", []), int(recipe[1])
        if not isinstance(recipes, AoT) or not 1 <= number <= len(recipes):
            raise UserError(f"'{section}': {project.toml} has {len(recipes)} recipes, numbered from 1")
        return recipes[number - 1]
    if section == "recipe":
        raise UserError(f"'recipe': give its number, counted from 1: recipe[1] ({project.toml})")
    table = document.setdefault(section, tomlkit.table())
    if not isinstance(table, Table):
        raise UserError(f"'{section}' is not a table in {project.toml}")
    return table


def _add_after_last_key(table: Table, name: str, value: Any) -> None:
    """Add a key after the last one, before the comments and blank lines that end the table."""
    tail = _pop_tail(table)
    table.add(name, _inline(value))
    for item in tail:
        table.add(item)


def _pop_tail(table: Table) -> list[Any]:
    tail: list[Any] = []
    body = table.value.body
    while body and body[-1][0] is None:
        tail.insert(0, body.pop()[1])
    return tail


def _end_with_blank_line(document: TOMLDocument) -> None:
    text = tomlkit.dumps(document)
    if not text.endswith("\n\n"):
        recipes = document["recipe"]
        last = recipes[-1] if len(recipes) else _tables(document)[0][1]
        last.add(tomlkit.nl())


def _inline(value: Any) -> Item:
    """Return a value that fits on one line: otherwise a list of tables would become tables with their own headings."""
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, part in value.items():
            table.add(name, _inline(part))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for part in value:
            array.append(_inline(part))
        return array
    return tomlkit.item(value)


def _checked(project: Project, document: TOMLDocument) -> Edit:
    text = tomlkit.dumps(document)
    raw = reading.parse_toml(text, str(project.toml))
    section = raw.get("project")
    name = section.get("base_model", "papertown") if isinstance(section, dict) else "papertown"
    base = specs.find(str(name))
    parsed = settings.parse(with_defaults(base.defaults, raw), str(project.toml))
    specs.check(base, parsed.model_dump(), str(project.toml))
    prompt_checks.check(parsed, base, str(project.toml))
    base = specs.predicting(base, parsed.project.prediction_type)
    return Edit(project.with_settings(parsed, base), text)


def _value(text: str) -> Any:
    try:
        return reading.parse_toml(f"value = {text}", "value")["value"]
    except UserError:
        return text
