"""The dataset: the original plus all picks, each with its caption; how it grows and leaves the house.

The catalog says which picks there are and what their captions are; `dataset/` in the project's folder holds
their pictures, with the captions in text files beside them for other tools.
"""

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select

from bootstrap import captions, images
from bootstrap.catalog import Catalog, generations, picks
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.tables import CandidateRow, PickRow
from bootstrap.errors import UserError
from bootstrap.files import TEMPORARY_PREFIX, copy_file, sha256_of_file, write_text
from bootstrap.project import Project
from bootstrap.running import exclusively
from bootstrap.settings import Settings

FORMATS = ("kohya", "imagefolder")
_CANDIDATE_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class DatasetEntry:
    """One picture to train on."""

    path: Path  # absolute
    caption: str
    is_original: bool
    picture_sha256: str  # of the file's bytes, 64 hex digits


@dataclass(frozen=True)
class Growth:
    """What growing the dataset changed."""

    added: int
    removed: int
    size: int  # pictures in the dataset now, the original included


def entries(project: Project, catalog: Catalog) -> list[DatasetEntry]:
    """Return the dataset: the original first, then the picks in the order in which they were added.

    Raises:
        UserError: a picture is missing, or the settings cannot be read.
    """
    caption = captions.join(project.settings.project.tags)
    found = [_entry(project.original, caption, is_original=True)]
    for pick in picks.picks(catalog, project.name):
        found.append(_entry(project.folder / pick.path, pick.caption, is_original=False))
    return found


def _entry(path: Path, caption: str, *, is_original: bool) -> DatasetEntry:
    try:
        return DatasetEntry(path, caption, is_original, sha256_of_file(path))
    except FileNotFoundError:
        what = "the original" if is_original else "a pick"
        raise UserError(f"dataset: {what} is missing, {path}; put the file back") from None


def check(project: Project, catalog: Catalog, settings: Settings) -> None:
    """Make sure that every picture of the dataset can be decoded and has a caption.

    Raises:
        UserError: one line that names the picture.
    """
    if not settings.project.tags:
        raise UserError(f"{project.toml}: caption is empty")
    for entry in entries(project, catalog):
        images.open_picture(entry.path)
        if not captions.parse(entry.caption):
            raise UserError(f"dataset: {entry.path} has an empty caption")


def balance(pick_count: int, repeats: int) -> tuple[int, int]:
    """Return how often an epoch shows (the original, each pick).

    `repeats` is how often it shows the original while that is alone. The sum shall stay near it while the
    dataset is small, because the method's learning rate and epochs are made for that many steps; and the
    original keeps half of it, because it alone is sure to show the subject and the picks are the LoRA's own
    work: with a quarter, each generation knew less of what makes the subject itself (docs/bench.md). Each pick is
    shown at least once an epoch, so a large dataset takes more steps, and there the original's part shrinks: it
    weighs as a few picks do.

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
    return int(value + 0.5)  # half up, where round() would go to the even number


def grow(project: Project, catalog: Catalog) -> Growth:
    """Make the dataset the original plus all candidates that are accepted now, of any generation.

    A new pick's caption is its prompt's tags. A pick whose verdict was taken back leaves the dataset. The
    generation under review becomes "grown", so that the next run begins the next one. A process that is
    killed meanwhile leaves the dataset as it was.

    Raises:
        UserError: no generation has been published, one is unfinished or running, nothing has changed, or
            the picture of an accepted candidate cannot be read; then nothing is changed.
    """
    with exclusively(project):
        number = _reviewed_generation(project, catalog)
        changes = picks.changes(catalog, project.name)
        if not changes:
            raise UserError(f"project '{project.name}': no new picks; accept candidates first (`sid review`)")
        for candidate in changes.to_add:
            images.open_picture(project.folder / candidate.path)
        rows = [_write_pick(project, candidate) for candidate in changes.to_add]
        _commit(project, catalog, number, rows, changes.to_remove)
        left = picks.picks(catalog, project.name)
        _remove_files_but_of(project, {pick.candidate_id for pick in left})
    return Growth(len(changes.to_add), len(changes.to_remove), 1 + len(left))


def _reviewed_generation(project: Project, catalog: Catalog) -> int:
    """The latest generation, if its candidates are there for review."""
    statuses = generations.statuses(catalog, project.name)
    if not statuses:
        raise UserError(
            f"project '{project.name}': there is no generation to take picks from; start one (`sid run`)"
        )
    last = statuses[-1]
    if last.state not in ("published", "grown"):
        raise UserError(
            f"project '{project.name}': generation {last.number} is not finished ({last.state}); "
            "`sid run` finishes it, grow after that"
        )
    return last.number


def _write_pick(project: Project, candidate: Candidate) -> tuple[str, str, str]:
    """Copy a candidate into the dataset's folder; return its id, path and caption."""
    caption = candidate.caption
    if not caption:
        raise UserError(f"candidate '{candidate.id}': its prompt is empty, so a pick would have no caption")
    target = project.dataset_folder / f"{candidate.id}.png"
    copy_file(project.folder / candidate.path, target)
    write_text(target.with_suffix(".txt"), caption + "\n")
    return candidate.id, target.relative_to(project.folder).as_posix(), caption


def _commit(
    project: Project, catalog: Catalog, number: int, added: list[tuple[str, str, str]], removed: list[str]
) -> None:
    with catalog.write() as session:
        owner = generations.project_row(session, project.name)
        mine = select(CandidateRow.id).where(CandidateRow.project_id == owner.id)
        for candidate_id, path, caption in added:
            row_id = session.scalars(mine.where(CandidateRow.shot_id == candidate_id)).one()
            session.add(PickRow(candidate_id=row_id, path=path, caption=caption))
            session.flush()  # one by one: the order of the rows is the order of the picks
        gone = mine.where(CandidateRow.shot_id.in_(removed))
        session.execute(delete(PickRow).where(PickRow.candidate_id.in_(gone)))
        generations.generation_row(session, project.name, number).state = "grown"


def _remove_files_but_of(project: Project, kept: set[str]) -> None:
    """Delete what is no pick any more, or was left by a growth that was killed; what is not ours stays."""
    for path in project.dataset_folder.glob("*"):
        ours = path.suffix in (".png", ".txt") and _CANDIDATE_ID.fullmatch(path.stem)
        if (ours and path.stem not in kept) or path.name.startswith(TEMPORARY_PREFIX):
            path.unlink()


def recaption(project: Project, catalog: Catalog, changed: Mapping[str, str]) -> int:
    """Give picks other captions, all of them or none; the next training learns with these.

    Args:
        changed: new captions by candidate id; those that are as they were count for nothing.

    Returns:
        How many are different now.

    Raises:
        UserError: a caption is empty, there is no such pick, or a generation is running.
    """
    present = {pick.candidate_id: pick for pick in picks.picks(catalog, project.name)}
    new: dict[str, str] = {}
    for candidate_id, text in changed.items():
        if candidate_id not in present:
            raise UserError(f"pick '{candidate_id}': the dataset of '{project.name}' has none with this id")
        caption = captions.join(captions.parse(text))
        if not caption:
            raise UserError(f"pick '{candidate_id}': its caption would be empty; a pick needs a tag at least")
        if caption != present[candidate_id].caption:
            new[candidate_id] = caption
    with exclusively(project):
        picks.set_captions(catalog, project.name, new)
        for candidate_id, caption in new.items():
            path = project.folder / present[candidate_id].path
            write_text(path.with_suffix(".txt"), caption + "\n")
    return len(new)


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
    found = entries(project, catalog)
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
