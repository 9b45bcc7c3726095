"""Changing a project's settings without an editor: `sid set NAME training.repeats=30`. Comments stay as they are."""

import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from bootstrap import base_model_spec, settings
from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.project import Project, with_defaults


def set_values(project: Project, assignments: list[str]) -> list[str]:
    """Write settings into project.toml, all or none, and return a line `key = value` for each.

    Args:
        assignments: such as `training.repeats=30`, `project.caption=woman, red apple`; a value is TOML, and
            what is no TOML is a text. `training.resolution=` without a value deletes the line.

    Raises:
        UserError: an assignment is not of that form, or the settings would be wrong; then nothing is changed.
    """
    try:
        document = tomlkit.parse(project.toml.read_text("utf-8"))
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise UserError(f"{project.toml}: no valid TOML: {error}") from None
    told = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        section, dot, name = key.strip().partition(".")
        if not equals or not dot or section == "recipe":
            raise UserError(
                f"'{assignment}': write section.name=value, such as training.repeats=30; "
                f"recipes are changed in {project.toml}"
            )
        table = document.setdefault(section, tomlkit.table())
        if not isinstance(table, Table):
            raise UserError(f"'{assignment}': '{section}' is no table in {project.toml}")
        if text.strip():
            table[name] = _value(text.strip())
            told.append(f"{section}.{name} = {tomlkit.item(table[name]).as_string()}")
        else:
            table.pop(name, None)
            told.append(f"{section}.{name}: its default again")
    changed = tomlkit.dumps(document)
    raw = tomllib.loads(changed)
    base = base_model_spec.find(str(raw.get("project", {}).get("base_model", "papertown")))
    settings.parse(with_defaults(base.defaults, raw), str(project.toml))
    write_text(project.toml, changed)
    return told


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
