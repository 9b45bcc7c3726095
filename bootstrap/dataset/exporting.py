"""Export the dataset in the formats that trainers read."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path

from bootstrap import files
from bootstrap.catalog import Catalog, candidates
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import entries
from bootstrap.dataset.entries import DatasetEntry, balance
from bootstrap.errors import UserError
from bootstrap.project.projects import Project

FORMATS = ("kohya", "imagefolder")
ORIGINS = "origins.json"  # where imported pictures come from: file, tool, model, note

Contents = dict[str, Path | str]
"""What an export holds: by path in its folder, with `/`, a picture to copy or a text. The original comes last."""


def zipped(project: Project, catalog: Catalog, to_format: str) -> bytes:
    """Return the dataset as the bytes of a zip file; formats as in export.

    Raises:
        UserError: the format is unknown, or a picture is missing.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:  # PNGs do not compress further
        for name, content in sorted(_contents(project, catalog, to_format).items()):
            if isinstance(content, str):
                packed.writestr(name, content.encode("utf-8"))
            else:
                packed.write(content, name)
    return archive.getvalue()


def export(project: Project, catalog: Catalog, to_format: str, folder: Path) -> int:
    """Copy the dataset to a new or empty folder: all of it, or nothing.

    kohya: `<repeats>_<project>/NAME.png` with `NAME.txt` beside it, with the same repeats as our own
    training. imagefolder: `train/NAME.png` and `train/metadata.jsonl`, as Hugging Face datasets read it. With imported
    pictures, `origins.json` says where each comes from.

    An export that was killed starts over. A folder that holds this very export already stays as it is.

    Returns:
        The number of pictures.

    Raises:
        UserError: the format is unknown, the folder holds something else or cannot be written, a picture is missing.
    """
    contents = _contents(project, catalog, to_format)
    count = sum(isinstance(content, Path) for content in contents.values())
    if folder.exists() and not folder.is_dir():
        raise UserError(f"export folder {folder}: it is a file")
    try:
        for place in (folder, folder.parent):  # where an export that was killed may have left its files
            files.remove_partial_files(place)
        if folder.is_dir() and any(folder.iterdir()):
            strange = _difference(folder, contents)
            if strange is None:
                return count
            raise UserError(f"export folder {folder}: it is not empty ({strange}); give a new one")
        files.fill_folder(folder, contents)
    except OSError as error:
        raise UserError(f"export folder {folder}: cannot be written ({error})") from None
    return count


def _contents(project: Project, catalog: Catalog, to_format: str) -> Contents:
    """Return what an export of the present dataset holds.

    The original comes last: should a kill leave a part of it, that part never looks like the export of a dataset
    without picks.
    """
    if to_format not in FORMATS:
        raise UserError(f"--format {to_format}: unknown, use {' or '.join(FORMATS)}")
    original, *picks = entries.of_project(project, catalog)
    origins = _origins(project, catalog, picks)
    if to_format == "kohya":
        return origins | _kohya_contents(project, [*picks, original])
    return origins | _imagefolder_contents([original, *picks])


def _origins(project: Project, catalog: Catalog, picks: list[DatasetEntry]) -> Contents:
    """Return the file that says where imported pictures come from; nothing if there are none."""
    exported = {entry.path.stem: entry.path.name for entry in picks}
    origins = [
        {"file_name": exported[candidate.id], **dataclasses.asdict(candidate.shot.imported)}
        for candidate in candidates.candidates(catalog, project.name, state=None, verdict=Verdict.ACCEPT)
        if candidate.shot.imported is not None and candidate.id in exported
    ]
    if not origins:
        return {}
    return {ORIGINS: json.dumps(origins, indent=2, ensure_ascii=False) + "\n"}


def _kohya_contents(project: Project, dataset: list[DatasetEntry]) -> Contents:
    of_original, of_pick = balance(len(dataset) - 1, project.settings.training.repeats)
    contents: Contents = {}
    for entry in dataset:
        folder = f"{of_original if entry.is_original else of_pick}_{project.name}"
        contents[f"{folder}/{entry.path.name}"] = entry.path
        contents[f"{folder}/{entry.path.stem}.txt"] = entry.caption + "\n"
    return contents


def _imagefolder_contents(dataset: list[DatasetEntry]) -> Contents:
    lines = [
        json.dumps({"file_name": entry.path.name, "text": entry.caption}, ensure_ascii=False)
        for entry in dataset
    ]
    pictures: Contents = {f"train/{entry.path.name}": entry.path for entry in dataset}
    return {**pictures, "train/metadata.jsonl": "\n".join(lines) + "\n"}


def _difference(folder: Path, contents: Contents) -> str | None:
    """Return how a folder differs from a finished export of the present dataset; None: not at all."""
    present = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    foreign = sorted(set(present) - set(contents))
    if foreign:
        return f"it holds {foreign[0]}"
    missing = sorted(set(contents) - set(present))
    if missing:
        return f"of this export it lacks {missing[0]}"
    for name, content in contents.items():
        same = (
            present[name].read_bytes() == content.encode("utf-8")
            if isinstance(content, str)
            else files.sha256_of_file(present[name]) == files.sha256_of_file(content)
        )
        if not same:
            return f"its {name} is another one"
    return None
