"""The URLs of pictures, and of the requests of the deck and the grid; `review_app.routes` serves them."""

from pathlib import Path
from urllib.parse import quote

from bootstrap.catalog.sheets import Sheet
from bootstrap.catalog.trainings import Snapshot
from bootstrap.project.projects import Project


def picture_url(project: Project, candidate_id: str) -> str:
    """Return the URL of a candidate's picture."""
    return f"/picture/{quote(project.name)}/{candidate_id}.png"


def thumbnail_url(project: Project, candidate_id: str) -> str:
    """Return the URL of a candidate's thumbnail."""
    return f"/thumbnail/{quote(project.name)}/{candidate_id}.webp"


def original_url(project: Project) -> str:
    """Return the URL of the original, which changes when the file does."""
    try:
        version = project.original.stat().st_mtime_ns
    except OSError:
        version = 0
    return f"/original/{quote(project.name)}.png?v={version:x}"


def sheet_url(project: Project, generation: int) -> str:
    """Return the URL of a generation's contact sheet."""
    return f"/sheet/{quote(project.name)}/{generation}.png"


def sheet_path(project: Project, generation: int) -> Path:
    """Return the path of a generation's contact sheet, which exists once its candidates are published."""
    return project.generation_folder(generation) / "sheet.png"


def drawn_sheet_url(project: Project, sheet: Sheet) -> str:
    """Return the URL of a sheet that `sid sheet` has drawn."""
    return f"/sheet/{quote(project.name)}/{sheet.generation}/{quote(sheet.path.name)}"


def deck_url(project: Project) -> str:
    """Return the URL that takes acts and hands out the next candidates."""
    return f"/deck/{quote(project.name)}"


def alike_url(project: Project) -> str:
    """Return the URL that takes a reviewer's decision on a look-alike."""
    return f"/alike/{quote(project.name)}"


def cells_url(project: Project) -> str:
    """Return the URL of the grid's candidates."""
    return f"/cells/{quote(project.name)}"


def snapshot_url(project: Project, snapshot: Snapshot) -> str:
    """Return the URL that downloads the LoRA file of a snapshot."""
    return f"/snapshot/{quote(project.name)}/{quote(snapshot.training_id)}/{snapshot.epoch}.safetensors"


def export_url(project: Project, to_format: str) -> str:
    """Return the URL that downloads the dataset as a zip file, in a format of `bootstrap.dataset.exporting`."""
    return f"/export/{quote(project.name)}/{to_format}.zip"


def small_original_url(project: Project) -> str:
    """Return the URL of the original's thumbnail, which changes when the file does."""
    return original_url(project).replace("/original/", "/small-original/").replace(".png", ".webp")


def dataset_url(project: Project) -> str:
    """Return the URL that takes changes of the dataset."""
    return f"/dataset-changes/{quote(project.name)}"
