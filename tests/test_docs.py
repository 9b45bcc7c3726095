"""The docs list every setting, recipe and verb, with their real defaults."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from bootstrap.cli import main
from bootstrap.models.specs import find
from bootstrap.project import settings
from bootstrap.project.settings import (
    CurationSection,
    DedupeSection,
    DrawingSection,
    ProjectSection,
    ReviewSection,
    TrainingSection,
)
from bootstrap.recipes.registry import RECIPES

ROOT = Path(__file__).parent.parent
SECTIONS = {
    "project": ProjectSection,
    "training": TrainingSection,
    "drawing": DrawingSection,
    "dedupe": DedupeSection,
    "curation": CurationSection,
    "review": ReviewSection,
}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the table rows under a heading of docs/settings.md: {name: cells}."""
    page = (ROOT / "docs" / "settings.md").read_text()
    part = page.split(f"## `{heading}`")[1].split("\n## ")[0]
    cells_of = {}
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`([a-z_]+)`", cells[0]) if line.startswith("|") else []:
            cells_of[name] = cells
    return cells_of


def as_written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_listed_with_its_default(section: str) -> None:
    model: type[BaseModel] = SECTIONS[section]
    table = rows(f"[{section}]")
    assert set(table) == set(model.model_fields)
    for name, field in model.model_fields.items():
        if field.default not in (None, "") and not field.is_required():
            assert table[name][1].strip("`") == as_written(field.default), name


@pytest.mark.parametrize("section", ["training", "drawing"])
def test_paper_towns_own_defaults_are_listed(section: str) -> None:
    table = rows(f"[{section}]")
    documented = {name: cells[2] for name, cells in table.items() if cells[2]}
    assert documented == {
        name: as_written(value) for name, value in find("papertown").defaults[section].items()
    }


def test_every_recipe_is_listed_with_its_defaults() -> None:
    table = rows("[[recipe]]")
    for kind, model in RECIPES.items():
        cells = table[kind]
        defaults = [model.model_fields[name].default for name in ("count", "strength", "snapshot")]
        documented = [
            ", ".join(as_written(item) for item in (value if isinstance(value, list) else [value]))
            for value in defaults
        ]
        assert cells[2:] == documented, kind
        own = set(model.model_fields) - {"kind", "count", "strength", "snapshot", "negative_prompt"}
        assert all(f"`{name}`" in cells[1] for name in own), kind


def test_every_recipe_has_an_example_that_is_valid() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text()
    blocks = [tomllib.loads(part.split("```")[0]) for part in page.split("```toml\n")[1:]]
    caption = " ".join(page.split("caption is `")[1].split("`")[0].split())
    assert caption == (ROOT / "bootstrap" / "papertown" / "originals" / "badge.txt").read_text().strip()
    for block in blocks:
        settings.parse({"project": {"caption": caption}, **block}, "docs/recipes.md")
    assert {recipe["kind"] for block in blocks for recipe in block["recipe"]} == set(RECIPES)


def test_the_readme_or_the_changelog_names_every_verb() -> None:
    main._load_verbs()
    verbs = get_command(main.app).commands
    readme = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    for name, verb in verbs.items():
        assert verb.help, name
        assert re.search(rf"\b{name}\b", readme), f"{name} is not mentioned"
