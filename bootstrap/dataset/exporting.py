"""Export the dataset in the formats that trainers read."""

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
    """Return the dataset as the bytes of a zip file; formats as in export.

    Raises:
        UserError: see export.
    """
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        export(project, catalog, to_format, Path(folder))
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:  # PNGs do not compress further
            for path in sorted(Path(folder).rglob("*")):
                packed.write(path, path.relative_to(folder))
    return archive.getvalue()


def export(project: Project, catalog: Catalog, to_format: str, folder: Path) -> int:
    """Copy the dataset to a new or empty folder: all of it, or nothing.

    kohya: `<repeats>_<project>/NAME.png` with `NAME.txt` beside it, with the same repeats as our own
    training. imagefolder: `train/NAME.png` and `train/metadata.jsonl`, as Hugging Face datasets read it.

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
        raise UserError(f"export folder {folder}: it is not empty; give a new one")
    dataset = entries.of_project(project, catalog)
    try:
        with _filled_whole(folder) as partial:
            if to_format == "kohya":
                _write_kohya(project, dataset, partial)
            else:
                _write_imagefolder(dataset, partial / "train")
    except OSError as error:
        raise UserError(f"export folder {folder}: cannot be written ({error})") from None
    return len(dataset)


@contextmanager
def _filled_whole(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `folder`; move its contents up when the block succeeds, else remove everything.

    A folder beside `folder` that is renamed at the end would not do: `folder` may be a shell's current one, or a mount.
    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
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
        for path in created:
            if path.is_dir():
                path.rmdir()
        raise


def _write_kohya(project: Project, dataset: list[DatasetEntry], folder: Path) -> None:
    of_original, of_pick = balance(len(dataset) - 1, project.settings.training.repeats)
    for entry in dataset:
        repeats = of_original if entry.is_original else of_pick
        target = folder / f"{repeats}_{project.name}"
        target.mkdir(exist_ok=True)
        shutil.copyfile(entry.path, target / entry.path.name)
        (target / entry.path.name).with_suffix(".txt").write_text(entry.caption + "\n", encoding="utf-8")


def _write_imagefolder(dataset: Iterable[DatasetEntry], folder: Path) -> None:
    folder.mkdir()
    lines = []
    for entry in dataset:
        shutil.copyfile(entry.path, folder / entry.path.name)
        lines.append(json.dumps({"file_name": entry.path.name, "text": entry.caption}, ensure_ascii=False))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
