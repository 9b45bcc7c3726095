"""The station curate: mark the new candidates that show again what is there already."""

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select

from bootstrap import images
from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.tables import IN_TURN, CandidateRow
from bootstrap.curation.duplicates import Limits, Prints
from bootstrap.curation.examining import Examined, Examiner
from bootstrap.curation.known import ORIGINAL, Known
from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.projects import Project

BATCH = 64  # candidates between two commits
_PNG, _END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"  # what a PNG file begins and ends with

_log = logging.getLogger(__name__)

__all__ = ["BATCH", "ORIGINAL", "curate"]


def curate(project: Project, catalog: Catalog, number: int, report: Report = silent) -> None:
    """Tell the duplicates among the drawn candidates of a generation from the rest.

    They are compared with the original, with the candidates of all generations that are no duplicates
    themselves (rejects keep their look-alikes from coming back), and with each other in the order in which
    they were drawn. What was noted of them when they were drawn is taken, the others are decoded. A candidate becomes
    "curated" or "duplicate"; one whose file is missing or damaged becomes "broken", which is told in a warning. A run
    that was killed goes on after its last batch of BATCH.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    rows = _drawn(catalog, project.name, number)
    if not rows:
        return
    sizes = Counter((row.shot["width"], row.shot["height"]) for row in rows)
    known = Known(project, catalog, sizes.most_common(1)[0][0], limits)
    examiner = Examiner(project)
    started, broken = time.monotonic(), 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        noted = _noted(project, catalog, batch, examiner)
        examined = noted | _examined(project, [row for row in batch if row.id not in noted], examiner)
        broken += len(batch) - len(examined)
        prints = {row.id: examined[row.id].fingerprint for row in batch if row.id in examined}
        smalls = {row_id: one.small for row_id, one in prints.items()}
        duplicate_of = known.add(list(prints), Prints.of(list(prints.values())), smalls)
        _commit(catalog, batch, examined, set(noted), duplicate_of)
        done = start + len(batch)
        rate = done / max(time.monotonic() - started, 1e-6)
        report(Progress("curate", done, len(rows), "pictures", rate, f"{broken} broken" if broken else ""))


def _drawn(catalog: Catalog, project: str, number: int) -> list[CandidateRow]:
    with catalog.read() as session:
        owner = generations.generation_row(session, project, number)
        return list(
            session.scalars(
                select(CandidateRow)
                .where(CandidateRow.generation_id == owner.id, CandidateRow.state == "drawn")
                .order_by(*IN_TURN)
            )
        )


def _noted(
    project: Project, catalog: Catalog, batch: Sequence[CandidateRow], examiner: Examiner
) -> dict[int, Examined]:
    """What was noted while they were drawn, by row id, of those whose files are whole."""
    with catalog.read() as session:
        noted = {row.id: examiner.noted(session, row) for row in batch}
    return {
        row.id: found
        for row in batch
        if (found := noted[row.id]) is not None and _is_whole(project.folder / row.path)
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


def _examined(project: Project, batch: Sequence[CandidateRow], examiner: Examiner) -> dict[int, Examined]:
    """The same of those that can be decoded."""
    pictures = {}
    for row in batch:
        try:
            pictures[row.id] = images.open_picture(project.folder / row.path)
        except UserError as error:
            _log.warning("candidate %s cannot be shown: %s", row.shot_id, error)
    return dict(zip(pictures, examiner.examine(list(pictures.values())), strict=True))


def _commit(
    catalog: Catalog,
    batch: Sequence[CandidateRow],
    examined: dict[int, Examined],
    noted: set[int],
    duplicate_of: dict[int, str],
) -> None:
    with catalog.write() as session:
        rows = session.scalars(select(CandidateRow).where(CandidateRow.id.in_([row.id for row in batch])))
        for row in rows:
            if row.id not in examined:
                row.state = "broken"
                continue
            if row.id not in noted:
                examined[row.id].note(session, row)
            row.duplicate_of = duplicate_of.get(row.id)
            row.state = "duplicate" if row.duplicate_of else "curated"
