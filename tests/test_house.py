"""The house keeps its shape: what lies where, who may know whom, and what only one room may do."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"__init__", "__main__", "captions", "errors", "files", "images", "progress", "shots", "tag_scores"}
SOURCES = [
    path for room in ("bootstrap", "flows", "review_app") for path in sorted((ROOT / room).rglob("*.py"))
]


def test_only_the_ground_lies_loose() -> None:
    assert {path.stem for path in (ROOT / "bootstrap").glob("*.py")} == GROUND


def test_every_import_points_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_walls(path: Path) -> None:
    """No SQL and no table outside the catalog; nobody outside the families asks which family it is."""
    text = path.read_text("utf-8")
    room = path.relative_to(ROOT).as_posix()
    if not room.startswith("bootstrap/catalog/"):
        assert not re.search(r"\b(sqlalchemy|alembic)\b", _imports(text)), "it knows the database"
        assert not re.search(r"\b\w+Row\b", _imports(text)), "it knows a table"
    if not room.startswith("bootstrap/models/families/"):
        assert "is_sdxl" not in text


def _imports(text: str) -> str:
    """All that a file imports, a name a line."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            lines += [f"{node.module} {alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            lines += [alias.name for alias in node.names]
    return "\n".join(lines)
