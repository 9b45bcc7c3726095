"""The station curate: hash the new candidates, and mark those that show again what is there already."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import select

from bootstrap import images
from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.tables import IN_TURN, CandidateRow
from bootstrap.curation import hashing
from bootstrap.curation.duplicates import Limits, Prints
from bootstrap.curation.hashing import Fingerprint
from bootstrap.curation.known import ORIGINAL, Known, remember
from bootstrap.curation.quality import Measures, measure
from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report, silent
from bootstrap.project import Project

BATCH = 64  # candidates between two commits

_log = logging.getLogger(__name__)

__all__ = ["BATCH", "ORIGINAL", "curate"]


def curate(project: Project, catalog: Catalog, number: int, report: Report = silent) -> None:
    """Fingerprint the drawn candidates of a generation and tell the duplicates from the rest.

    They are compared with the original, with the candidates of all generations that are no duplicates
    themselves (rejects keep their look-alikes from coming back), and with each other in the order in which
    they were drawn. A candidate becomes "curated" or "duplicate"; one that cannot be decoded becomes
    "broken", which is told in a warning. What its pixels say of its quality is noted too. A run that was
    killed goes on after its last batch of BATCH.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    rows = _drawn(catalog, project.name, number)
    if not rows:
        return
    sizes = Counter((row.shot["width"], row.shot["height"]) for row in rows)
    known = Known(project, catalog, sizes.most_common(1)[0][0], limits)
    original = measure(images.open_picture(project.original))
    started, broken = time.monotonic(), 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        readable, quality = _read(project, batch, original)
        broken += len(batch) - len(readable)
        smalls = {row_id: one.small for row_id, one in readable.items()}
        duplicate_of = known.add(list(readable), Prints.of(list(readable.values())), smalls)
        _commit(catalog, batch, readable, quality, duplicate_of, project.settings.dedupe.hash)
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


def _read(
    project: Project, batch: Sequence[CandidateRow], original: Measures
) -> tuple[dict[int, Fingerprint], dict[int, tuple[float, str]]]:
    """Fingerprints, and quality with flaw, by row id, of those that can be decoded."""
    pictures = {}
    for row in batch:
        try:
            pictures[row.id] = images.open_picture(project.folder / row.path)
        except UserError as error:
            _log.warning("candidate %s cannot be shown: %s", row.shot_id, error)
    found = hashing.fingerprints(list(pictures.values()), project.settings.dedupe.hash)
    measured = {row_id: measure(picture) for row_id, picture in pictures.items()}
    quality = {row_id: (one.quality(original), one.flaw(original)) for row_id, one in measured.items()}
    return dict(zip(pictures, found, strict=True)), quality


def _commit(
    catalog: Catalog,
    batch: Sequence[CandidateRow],
    readable: dict[int, Fingerprint],
    quality: dict[int, tuple[float, str]],
    duplicate_of: dict[int, str],
    kind: str,
) -> None:
    with catalog.write() as session:
        rows = session.scalars(select(CandidateRow).where(CandidateRow.id.in_([row.id for row in batch])))
        for row in rows:
            if row.id not in readable:
                row.state = "broken"
                continue
            remember(session, row, readable[row.id], kind)
            row.quality, row.flaw = quality[row.id]
            row.duplicate_of = duplicate_of.get(row.id)
            row.state = "duplicate" if row.duplicate_of else "curated"
