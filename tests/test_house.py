"""The structure of the code: which files lie where, which package may import which, and who may use SQL."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {
    "__init__", "__main__", "captions", "errors", "files", "images", "progress", "reading", "shot_shape", "shots",
    "tag_scores",
}  # fmt: skip
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
    """No SQL and no table outside the catalog; nothing outside the families asks which family a model belongs to."""
    text = path.read_text("utf-8")
    room = path.relative_to(ROOT).as_posix()
    if not room.startswith("bootstrap/catalog/"):
        assert not re.search(r"\b(sqlalchemy|alembic)\b", _imports(text)), "it imports the database library"
        assert not re.search(r"\b\w+Row\b", _imports(text)), "it imports a table"
    if not room.startswith("bootstrap/models/families/"):
        assert "is_sdxl" not in text


def _imports(text: str) -> str:
    """Return the names that a file imports, one per line."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            lines += [f"{node.module} {alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            lines += [alias.name for alias in node.names]
    return "\n".join(lines)
