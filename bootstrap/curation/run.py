"""The station curate: mark the new candidates that show again what is there already."""

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bootstrap import images
from bootstrap.catalog import candidate_states, measurements
from bootstrap.catalog.candidates import ORIGINAL
from bootstrap.catalog.measurements import PictureFile
from bootstrap.curation.duplicates import Limits, Prints
from bootstrap.curation.examining import Examined, Examiner
from bootstrap.curation.known import Known
from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project

BATCH = 64  # candidates between two commits
_PNG, _END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"  # what a PNG file begins and ends with

_log = logging.getLogger(__name__)

__all__ = ["BATCH", "ORIGINAL", "curate"]


def curate(generation: Generation, report: Report = silent) -> None:
    """Tell the duplicates among the drawn candidates of a generation from the rest.

    They are compared with the original, with the candidates of all generations that are no duplicates
    themselves (rejects keep their look-alikes from coming back), and with each other in the order in which
    they were drawn. What was noted of them when they were drawn is taken, the others are decoded. A candidate becomes
    "curated" or "duplicate"; one whose file is missing or damaged becomes "broken", which is told in a warning. A run
    that was killed goes on after its last batch of BATCH.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    project, catalog = generation.project, generation.catalog
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    files = measurements.drawn_files(catalog, project.name, generation.number)
    if not files:
        return
    sizes = Counter(file.size for file in files)
    known = Known(project, catalog, sizes.most_common(1)[0][0], limits)
    examiner = Examiner(project)
    started, broken = time.monotonic(), 0
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        noted = _noted(generation, batch, examiner)
        examined = noted | _examined(project, [file for file in batch if file.row not in noted], examiner)
        lost = [file.row for file in batch if file.row not in examined]
        broken += len(lost)
        prints = {file.row: examined[file.row].fingerprint for file in batch if file.row in examined}
        smalls = {row: one.small for row, one in prints.items()}
        duplicate_of = known.add(list(prints), Prints.of(list(prints.values())), smalls)
        new = {row: None if row in noted else examined[row].stored for row in prints}
        candidate_states.note_curated(catalog, new, duplicate_of, lost)
        done = start + len(batch)
        rate = done / max(time.monotonic() - started, 1e-6)
        report(Progress("curate", done, len(files), "pictures", rate, f"{broken} broken" if broken else ""))


def _noted(generation: Generation, batch: Sequence[PictureFile], examiner: Examiner) -> dict[int, Examined]:
    """What was noted while they were drawn, by row, of those whose files are whole."""
    noted = examiner.noted(generation.catalog, [file.row for file in batch])
    folder = generation.project.folder
    return {
        file.row: noted[file.row] for file in batch if file.row in noted and _is_whole(folder / file.path)
    }


def _is_whole(path: Path) -> bool:
    """Whether a PNG is there from beginning to end; damage in between shows when it is published."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_PNG))
            file.seek(-len(_END), os.SEEK_END)
            return begins == _PNG and file.read() == _END
    except OSError:  # it is missing, or shorter than that
        return False


def _examined(project: Project, batch: Sequence[PictureFile], examiner: Examiner) -> dict[int, Examined]:
    """The same of those that can be decoded."""
    pictures = {}
    for file in batch:
        try:
            pictures[file.row] = images.open_picture(project.folder / file.path)
        except UserError as error:
            _log.warning("candidate %s cannot be shown: %s", file.id, error)
    return dict(zip(pictures, examiner.examine(list(pictures.values())), strict=True))
