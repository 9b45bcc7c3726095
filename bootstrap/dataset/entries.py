"""The dataset that training sees: the original plus all picks, each with its caption.

The catalog lists the picks and their captions; `dataset/` in the project's folder holds their pictures, with captions
in text files beside them for other tools.
"""

from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions, images, reading
from bootstrap.catalog import Catalog, picks
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.project.projects import Project
from bootstrap.project.settings import Settings


@dataclass(frozen=True)
class DatasetEntry:
    """One picture to train on."""

    path: Path  # absolute
    caption: str
    is_original: bool
    picture_sha256: str  # of the file's bytes, 64 hex digits


def of_project(project: Project, catalog: Catalog) -> list[DatasetEntry]:
    """Return the dataset: the original first, then the picks in the order they were added.

    Raises:
        UserError: a picture is missing, the catalog names one outside of the project, or the settings cannot be read.
    """
    caption = captions.join(project.settings.project.tags)
    entries = [_entry(project.original, caption, is_original=True)]
    for pick in picks.picks(catalog, project.name):
        path = reading.inside(project.folder, pick.path, f"pick '{pick.candidate_id}' of '{project.name}'")
        entries.append(_entry(path, pick.caption, is_original=False))
    return entries


def _entry(path: Path, caption: str, *, is_original: bool) -> DatasetEntry:
    try:
        return DatasetEntry(path, caption, is_original, sha256_of_file(path))
    except FileNotFoundError:
        what = "the original" if is_original else "a pick"
        raise UserError(f"dataset: {what} is missing, {path}; put the file back") from None


def check(project: Project, catalog: Catalog, settings: Settings) -> None:
    """Check that every picture of the dataset can be decoded and has a caption.

    Raises:
        UserError: one line that names the picture.
    """
    if not settings.project.tags:
        raise UserError(f"{project.toml}: caption is empty")
    for entry in of_project(project, catalog):
        images.open_picture(entry.path)
        if not captions.parse(entry.caption):
            raise UserError(f"dataset: {entry.path} has an empty caption")


def balance(pick_count: int, repeats: int) -> tuple[int, int]:
    """Return how often an epoch shows (the original, each pick).

    `repeats` is how often it shows the original alone. The sum stays near `repeats` while the dataset is small,
    because the method's learning rate and epochs are tuned for that many steps. The original keeps half of them,
    because it alone is sure to show the subject, while the picks are the LoRA's own work: with a quarter, each
    generation lost more of the subject's characteristic features (docs/bench.md). Each pick is shown at least once
    per epoch, so a large dataset takes more steps, and the original's share shrinks: it then weighs as much as a few
    picks.

        picks     0   1      2     3     4     8     15    100     (repeats = 20)
        balance   20  10/10  10/5  10/3  10/3  10/1  10/1  10/1
        sum       20  20     20    19    22    18    25    110

    Args:
        pick_count: number of picks, 0 or more.
        repeats: kohya's repeats for one picture, 1 or more.
    """
    if pick_count == 0:
        return repeats, 0
    original = max(1, _rounded(repeats / 2))
    return original, max(1, _rounded((repeats - original) / pick_count))


def _rounded(value: float) -> int:
    return int(value + 0.5)  # rounds half up; round() would round half to even
