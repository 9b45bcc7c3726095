"""The station `curate`: mark the new candidates that are duplicates."""

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bootstrap import images, reading
from bootstrap.catalog import candidate_states, measurements
from bootstrap.catalog.candidates import ORIGINAL
from bootstrap.catalog.measurements import PictureFile
from bootstrap.curation.duplicates import Limits, Prints
from bootstrap.curation.examining import Examined, Examiner
from bootstrap.curation.known import KnownPictures
from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project

BATCH = 64  # candidates per commit
_PNG, _END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"  # the first and last bytes of a PNG file

_log = logging.getLogger(__name__)

__all__ = ["BATCH", "ORIGINAL", "mark_duplicates"]


def mark_duplicates(generation: Generation, report: Report = silent) -> None:
    """Mark each drawn candidate of a generation as "curated", "duplicate" or "broken".

    Candidates are compared with the original, with the candidates of all generations that are no duplicates themselves
    (so rejects keep their look-alikes away), and with each other in the order of drawing. Measurements made while
    drawing are reused; only candidates without them are decoded. A candidate whose file is missing or damaged becomes
    "broken", with a warning. An interrupted run resumes after its last batch of BATCH.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    project, catalog = generation.project, generation.catalog
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    files = measurements.drawn_files(catalog, project.name, generation.number)
    if not files:
        return
    sizes = Counter(file.size for file in files)
    known = KnownPictures(project, catalog, sizes.most_common(1)[0][0], limits)
    examiner = Examiner(project)
    started, broken = time.monotonic(), 0
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        noted = _noted(generation, batch, examiner)
        examined = noted | _examined(project, [file for file in batch if file.row not in noted], examiner)
        unreadable = [file.row for file in batch if file.row not in examined]
        broken += len(unreadable)
        prints = {file.row: examined[file.row].fingerprint for file in batch if file.row in examined}
        smalls = {row: fingerprint.small for row, fingerprint in prints.items()}
        duplicate_of = known.add(list(prints), Prints.of(list(prints.values())), smalls)
        new = {row: None if row in noted else examined[row].stored for row in prints}
        candidate_states.note_curated(catalog, new, duplicate_of, unreadable)
        done = start + len(batch)
        rate = done / max(time.monotonic() - started, 1e-6)
        report(Progress("curate", done, len(files), "pictures", rate, f"{broken} broken" if broken else ""))


def _noted(generation: Generation, batch: Sequence[PictureFile], examiner: Examiner) -> dict[int, Examined]:
    """Return the measurements made while drawing, by row, of those candidates whose files are whole."""
    noted = examiner.noted(generation.catalog, [file.row for file in batch])
    folder = generation.project.folder
    return {file.row: noted[file.row] for file in batch if file.row in noted and _is_whole(folder, file)}


def _is_whole(folder: Path, candidate: PictureFile) -> bool:
    """Return whether a PNG has its first and last bytes; publishing detects damage in between."""
    try:
        where = f"candidate '{candidate.id}'"
        with reading.opened(reading.inside(folder, candidate.path, where), where) as file:
            start = file.read(len(_PNG))
            file.seek(-len(_END), os.SEEK_END)
            return start == _PNG and file.read() == _END
    except (OSError, UserError):  # missing, shorter than those bytes, or no file of the project
        return False


def _examined(project: Project, batch: Sequence[PictureFile], examiner: Examiner) -> dict[int, Examined]:
    """Return the measurements of those candidates that can be decoded, by row."""
    pictures = {}
    for file in batch:
        try:
            path = reading.inside(project.folder, file.path, f"candidate '{file.id}'")
            pictures[file.row] = images.open_picture(path)
        except UserError as error:
            _log.warning("candidate %s cannot be shown: %s", file.id, error)
    return dict(zip(pictures, examiner.examine(list(pictures.values())), strict=True))
