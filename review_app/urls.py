"""Where the browser finds pictures, and where it sends what a reviewer did; see `review_app.routes`."""

from pathlib import Path
from urllib.parse import quote

from bootstrap.catalog.sheets import Sheet
from bootstrap.project.projects import Project


def picture_url(project: Project, candidate_id: str) -> str:
    """Where the browser finds a candidate's picture."""
    return f"/picture/{quote(project.name)}/{candidate_id}.png"


def thumbnail_url(project: Project, candidate_id: str) -> str:
    """Where the browser finds a candidate's small picture."""
    return f"/thumbnail/{quote(project.name)}/{candidate_id}.webp"


def original_url(project: Project) -> str:
    """Where the browser finds the original; the URL changes when the file does."""
    try:
        version = project.original.stat().st_mtime_ns
    except OSError:
        version = 0
    return f"/original/{quote(project.name)}.png?v={version:x}"


def sheet_url(project: Project, generation: int) -> str:
    """Where the browser finds a generation's contact sheet."""
    return f"/sheet/{quote(project.name)}/{generation}.png"


def sheet_path(project: Project, generation: int) -> Path:
    """The file of a generation's contact sheet; there once its candidates are published."""
    return project.generation_folder(generation) / "sheet.png"


def drawn_sheet_url(project: Project, sheet: Sheet) -> str:
    """Where the browser finds a sheet of `sid sheet`."""
    return f"/sheet/{quote(project.name)}/{sheet.generation}/{quote(sheet.path.name)}"


def deck_url(project: Project) -> str:
    """Where the browser sends verdicts and gets the next candidates."""
    return f"/deck/{quote(project.name)}"


def alike_url(project: Project) -> str:
    """Where the browser sends what a reviewer says of a look-alike."""
    return f"/alike/{quote(project.name)}"


def cells_url(project: Project) -> str:
    """Where the browser finds what the grid shows."""
    return f"/cells/{quote(project.name)}"
