"""What is noted of each picture: its fingerprint, and what its pixels say of its quality.

Done while pictures are drawn and in memory, so that curation need not decode them again; and in curation for those that
came another way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from sqlalchemy.orm import Session

from bootstrap import images
from bootstrap.catalog.tables import CandidateRow, SmallCopyRow
from bootstrap.curation.known import remember, to_small
from bootstrap.pictures import hashing
from bootstrap.pictures.hashing import Fingerprint
from bootstrap.pictures.quality import measure
from bootstrap.project.projects import Project


@dataclass(frozen=True)
class Examined:
    """What is known of a picture."""

    fingerprint: Fingerprint
    hash_kind: str  # the setting dedupe.hash
    quality: float  # 0 to 1, see quality.Measures
    flaw: str  # "": none

    def note(self, session: Session, row: CandidateRow) -> None:
        """Put it into the catalog; the row must have its id."""
        remember(session, row, self.fingerprint, self.hash_kind)
        row.quality, row.flaw = self.quality, self.flaw


class Examiner:
    """Examines a project's candidates, with its original as the measure of quality."""

    def __init__(self, project: Project) -> None:
        """Measure the original.

        Raises:
            UserError: it cannot be read.
        """
        self._original = measure(images.open_picture(project.original))
        self._kind = project.settings.dedupe.hash

    def examine(self, pictures: Sequence[Image.Image]) -> list[Examined]:
        """Examine RGB pictures, in their order."""
        prints = hashing.fingerprints(pictures, self._kind)
        measured = [measure(picture) for picture in pictures]
        return [
            Examined(fingerprint, self._kind, one.quality(self._original), one.flaw(self._original))
            for fingerprint, one in zip(prints, measured, strict=True)
        ]

    def noted(self, session: Session, row: CandidateRow) -> Examined | None:
        """Return what the catalog has of a candidate, None where it has nothing, or another kind of hash."""
        copy = session.get(SmallCopyRow, row.id)
        if copy is None or row.hash_kind != self._kind or row.quality is None or row.texture is None:
            return None
        fingerprint = Fingerprint(
            hashing.from_hex(str(row.image_hash)),
            hashing.from_hex(str(row.image_hash_mirrored)),
            row.texture,
            to_small(copy.pixels),
        )
        return Examined(fingerprint, self._kind, row.quality, row.flaw or "")
