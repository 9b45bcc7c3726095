"""How the dataset leaves the house: in the formats that trainers read."""

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap.catalog import Catalog
from bootstrap.dataset import entries
from bootstrap.dataset.entries import DatasetEntry, balance
from bootstrap.errors import UserError
from bootstrap.files import TEMPORARY_PREFIX
from bootstrap.project.projects import Project

FORMATS = ("kohya", "imagefolder")


def zipped(project: Project, catalog: Catalog, to_format: str) -> bytes:
    """Return the dataset as a zip file; formats as in export.

    Raises:
        UserError: see export.
    """
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        export(project, catalog, to_format, Path(folder))
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:  # PNGs do not get smaller
            for path in sorted(Path(folder).rglob("*")):
                packed.write(path, path.relative_to(folder))
    return archive.getvalue()


def export(project: Project, catalog: Catalog, to_format: str, folder: Path) -> int:
    """Copy the dataset into a new or empty folder: all of it, or nothing.

    kohya: `<repeats>_<project>/NAME.png` with `NAME.txt` beside it, the repeats being those that our own
    training uses. imagefolder: `train/NAME.png` and `train/metadata.jsonl`, as Hugging Face datasets read it.

    Returns:
        The number of pictures.

    Raises:
        UserError: the format is unknown, the folder is not empty or cannot be written, a picture is missing.
    """
    if to_format not in FORMATS:
        raise UserError(f"--format {to_format}: unknown, use {' or '.join(FORMATS)}")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"export folder {folder}: it is a file")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"export folder {folder}: it is not empty, give a new one")
    found = entries.of_project(project, catalog)
    try:
        with _filled_whole(folder) as partial:
            if to_format == "kohya":
                _write_kohya(project, found, partial)
            else:
                _write_imagefolder(found, partial / "train")
    except OSError as error:
        raise UserError(f"export folder {folder}: cannot be written ({error})") from None
    return len(found)


@contextmanager
def _filled_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder inside of `folder`; move what is in it up when the block ends well, else leave nothing.

    Not a folder beside it that is renamed at the end: `folder` may be somebody's current one, or a mount.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    moved: list[Path] = []
    partial: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=folder))
        yield partial
        for path in list(partial.iterdir()):
            moved.append(path.rename(folder / path.name))
        partial.rmdir()
    except BaseException:
        for path in [*moved, *([partial] if partial else [])]:
            shutil.rmtree(path)
        for path in made:
            if path.is_dir():
                path.rmdir()
        raise


def _write_kohya(project: Project, found: list[DatasetEntry], folder: Path) -> None:
    of_original, of_pick = balance(len(found) - 1, project.settings.training.repeats)
    for entry in found:
        repeats = of_original if entry.is_original else of_pick
        home = folder / f"{repeats}_{project.name}"
        home.mkdir(exist_ok=True)
        shutil.copyfile(entry.path, home / entry.path.name)
        (home / entry.path.name).with_suffix(".txt").write_text(entry.caption + "\n", encoding="utf-8")


def _write_imagefolder(found: Iterable[DatasetEntry], folder: Path) -> None:
    folder.mkdir()
    lines = []
    for entry in found:
        shutil.copyfile(entry.path, folder / entry.path.name)
        lines.append(json.dumps({"file_name": entry.path.name, "text": entry.caption}, ensure_ascii=False))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
