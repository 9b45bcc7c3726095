"""The station curate: hash the new candidates, and mark those that show again what is there already."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from bootstrap import images
from bootstrap.catalog import Catalog, generations
from bootstrap.catalog.tables import CandidateRow, ProjectRow
from bootstrap.curation import hashing
from bootstrap.curation.duplicates import Limits, Prints, look_alikes
from bootstrap.curation.hashing import Fingerprint
from bootstrap.errors import UserError
from bootstrap.progress import Progress, Report, silent
from bootstrap.project import Project

BATCH = 64  # candidates between two commits
ORIGINAL = "original"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Known:
    """A picture that new ones are compared with: the original, or a candidate that is no duplicate."""

    name: str  # a candidate's id, or ORIGINAL
    path: str  # relative to the project's folder
    phash: int
    phash_mirrored: int
    texture: float


def curate(project: Project, catalog: Catalog, number: int, report: Report = silent) -> None:
    """Fingerprint the drawn candidates of a generation and tell the duplicates from the rest.

    They are compared with the original, with the candidates of all generations that are no duplicates
    themselves (rejects keep their look-alikes from coming back), and with each other in the order in which
    they were drawn. A candidate becomes "curated" or "duplicate"; one that cannot be decoded becomes
    "broken", which is told in a warning. A run that was killed goes on after its last batch of BATCH.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    rows = _drawn(catalog, project.name, number)
    if not rows:
        return
    comparer = _Comparer(project, _kept(catalog, project.name), rows[0], limits)
    started, broken = time.monotonic(), 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        readable = _fingerprints(project, batch)
        broken += len(batch) - len(readable)
        duplicate_of = comparer.take([row for row in batch if row.id in readable], readable)
        _commit(catalog, batch, readable, duplicate_of)
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
                .order_by(CandidateRow.id)
            )
        )


def _kept(catalog: Catalog, project: str) -> list[_Known]:
    """The candidates of all generations that were curated before and are no duplicates."""
    query = (
        select(
            CandidateRow.shot_id,
            CandidateRow.path,
            CandidateRow.phash,
            CandidateRow.phash_mirrored,
            CandidateRow.texture,
        )
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state.in_(("curated", "published")))
        .order_by(CandidateRow.id)
    )
    with catalog.read() as session:
        return [
            _Known(shot_id, path, hashing.from_hex(phash), hashing.from_hex(mirrored), texture)
            for shot_id, path, phash, mirrored, texture in session.execute(query)
            if phash is not None and mirrored is not None and texture is not None
        ]


def _fingerprints(project: Project, batch: Sequence[CandidateRow]) -> dict[int, Fingerprint]:
    """Fingerprints by row id, of those that can be decoded."""
    found = {}
    for row in batch:
        try:
            picture = images.open_picture(project.folder / row.path)
        except UserError as error:
            _log.warning("candidate %s cannot be shown: %s", row.shot_id, error)
            continue
        found[row.id] = hashing.fingerprint(picture)
    return found


class _Comparer:
    """Compares batch after batch with all that came before."""

    def __init__(self, project: Project, kept: list[_Known], first: CandidateRow, limits: Limits) -> None:
        self._project = project
        self._limits = limits
        self._smalls: dict[str, NDArray[np.uint8] | None] = {}
        # The original may have another size: it is scaled and cropped as for training.
        size = first.shot["width"], first.shot["height"]
        original = hashing.fingerprint(images.fit(images.open_picture(project.original), *size))
        self._known = [self._remember(ORIGINAL, project.original.name, original), *kept]

    def take(self, batch: list[CandidateRow], prints: dict[int, Fingerprint]) -> dict[int, str]:
        """Return {row id: name of the picture that it shows again} for the duplicates of a batch."""
        new = [self._remember(row.shot_id, row.path, prints[row.id]) for row in batch]
        everything = self._known + new
        found = look_alikes(
            Prints.of([(one.phash, one.phash_mirrored, one.texture) for one in everything]),
            len(self._known),
            lambda index: self._small(everything[index]),
            self._limits,
        )
        offset = len(self._known)
        self._known += [one for index, one in enumerate(new, offset) if index not in found]
        return {batch[index - offset].id: everything[match].name for index, match in found.items()}

    def _remember(self, name: str, path: str, fingerprint: Fingerprint) -> _Known:
        self._smalls[name] = fingerprint.small
        return _Known(name, path, fingerprint.phash, fingerprint.phash_mirrored, fingerprint.texture)

    def _small(self, known: _Known) -> NDArray[np.uint8] | None:
        """The small copy; of a candidate of an earlier run it is made anew, when it is first asked for."""
        if known.name not in self._smalls:
            try:
                picture = images.open_picture(self._project.folder / known.path)
                self._smalls[known.name] = hashing.small_copy(picture)
            except UserError as error:
                _log.warning("candidate %s cannot be compared with new ones: %s", known.name, error)
                self._smalls[known.name] = None
        return self._smalls[known.name]


def _commit(
    catalog: Catalog,
    batch: Sequence[CandidateRow],
    readable: dict[int, Fingerprint],
    duplicate_of: dict[int, str],
) -> None:
    with catalog.write() as session:
        rows = session.scalars(select(CandidateRow).where(CandidateRow.id.in_([row.id for row in batch])))
        for row in rows:
            if row.id not in readable:
                row.state = "broken"
                continue
            fingerprint = readable[row.id]
            row.phash = hashing.to_hex(fingerprint.phash)
            row.phash_mirrored = hashing.to_hex(fingerprint.phash_mirrored)
            row.texture = fingerprint.texture
            row.duplicate_of = duplicate_of.get(row.id)
            row.state = "duplicate" if row.duplicate_of else "curated"
