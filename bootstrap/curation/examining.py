"""The measurements of each candidate's picture: its fingerprint and its quality.

They are made while drawing, with the picture in memory, so that curation need not decode it; curation makes those of
imported candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from bootstrap import images
from bootstrap.catalog import Catalog, measurements
from bootstrap.catalog.measurements import Measured
from bootstrap.curation.known import to_small, to_stored
from bootstrap.pictures import hashing
from bootstrap.pictures.hashing import Fingerprint
from bootstrap.pictures.quality import measure
from bootstrap.project.projects import Project


@dataclass(frozen=True)
class Examined:
    """The measurements of a picture."""

    fingerprint: Fingerprint
    hash_kind: str  # the setting dedupe.hash
    quality: float  # 0 to 1, see quality.Measures
    flaw: str  # "" for none

    @classmethod
    def of_stored(cls, known: Measured) -> "Examined":
        """Return the measurements that the catalog holds of a picture."""
        stored = known.fingerprint
        fingerprint = Fingerprint(
            hashing.from_hex(stored.image_hash),
            hashing.from_hex(stored.image_hash_mirrored),
            stored.texture,
            to_small(stored.small),
        )
        return cls(fingerprint, stored.hash_kind, known.quality, known.flaw)

    @property
    def stored(self) -> Measured:
        """Return the measurements in the catalog's form."""
        return Measured(to_stored(self.fingerprint, self.hash_kind), self.quality, self.flaw)


class Examiner:
    """Measures a project's candidates, with the quality relative to its original."""

    def __init__(self, project: Project) -> None:
        """Measure the original.

        Raises:
            UserError: it cannot be read.
        """
        self._original = measure(images.open_picture(project.original))
        self._kind = project.settings.dedupe.hash

    def examine(self, pictures: Sequence[Image.Image]) -> list[Examined]:
        """Return the measurements of RGB pictures, in their order."""
        prints = hashing.fingerprints(pictures, self._kind)
        measured = [measure(picture) for picture in pictures]
        return [
            Examined(fingerprint, self._kind, measures.quality(self._original), measures.flaw(self._original))
            for fingerprint, measures in zip(prints, measured, strict=True)
        ]

    def noted(self, catalog: Catalog, rows: Sequence[int]) -> dict[int, Examined]:
        """Return the catalog's measurements by row id, except those with another kind of hash."""
        known = measurements.measured(catalog, rows, self._kind)
        return {row: Examined.of_stored(measured) for row, measured in known.items()}
