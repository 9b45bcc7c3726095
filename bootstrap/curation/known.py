"""The pictures that new candidates are compared with, as the catalog has them: no picture is decoded again."""

import logging
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bootstrap import images
from bootstrap.catalog import Catalog, measurements
from bootstrap.catalog.candidates import ORIGINAL
from bootstrap.catalog.measurements import ALL_KEPT, Compared, StoredFingerprint
from bootstrap.catalog.states import Verdict
from bootstrap.curation.duplicates import Limits, Prints, look_alikes
from bootstrap.errors import UserError
from bootstrap.pictures import hashing
from bootstrap.pictures.hashing import SMALL_SIDE, Fingerprint
from bootstrap.project.projects import Project

_SMALLS_IN_MEMORY = 20_000  # 3 KiB each
_BATCH = 64  # pictures between two commits

_log = logging.getLogger(__name__)


class Known:
    """The original and a project's candidates of all generations that are no duplicates, in the order of drawing."""

    def __init__(
        self,
        project: Project,
        catalog: Catalog,
        size: tuple[int, int],
        limits: Limits,
        which: Compared = ALL_KEPT,
    ) -> None:
        """Read them from the catalog.

        Args:
            size: width and height that the original is scaled and cropped to, as for training.
            limits: when two pictures are the same.
            which: these candidates only.

        Raises:
            UserError: the original cannot be read.
        """
        self._project, self._catalog, self._limits = project, catalog, limits
        original = images.fit(images.open_picture(project.original), *size)
        self._original = hashing.fingerprint(original, project.settings.dedupe.hash)
        ids, prints = load(project, catalog, which)
        self._ids = np.concatenate([[0], ids])  # 0: the original
        self._prints = Prints.of([self._original]) + prints
        self._small = lru_cache(_SMALLS_IN_MEMORY)(self._read_small)

    def add(
        self,
        ids: Sequence[int],
        prints: Prints,
        smalls: dict[int, NDArray[np.uint8]],
        apart: Collection[tuple[int, int]] = frozenset(),
    ) -> dict[int, str]:
        """Compare new candidates, and remember those that show nothing again.

        Args:
            ids: their rows' ids, in order.
            prints: their fingerprints.
            smalls: small copies by row id, of those that the catalog does not have yet.
            apart: pairs of row ids (new, earlier; 0 is the original) that are no duplicates.

        Returns:
            {row id: shot id of the candidate that it shows again, or ORIGINAL} of the duplicates.
        """
        first = len(self._ids)
        every = np.concatenate([self._ids, np.asarray(ids, np.int64)])
        together = self._prints + prints
        place = {int(row_id): index for index, row_id in enumerate(every)} if apart else {}
        found = look_alikes(
            together,
            first,
            lambda i: smalls[int(every[i])] if int(every[i]) in smalls else self._small(int(every[i])),
            self._limits,
            {(place[new], place[old]) for new, old in apart if new in place and old in place},
        )
        stays = np.ones(len(every), bool)
        stays[list(found)] = False
        self._ids, self._prints = every[stays], together[stays]
        return {int(every[new]): self._name(int(every[old])) for new, old in found.items()}

    def _name(self, row_id: int) -> str:
        if not row_id:
            return ORIGINAL
        return measurements.id_of(self._catalog, row_id)

    def _read_small(self, row_id: int) -> NDArray[np.uint8] | None:
        if not row_id:
            return self._original.small
        copy = measurements.small_copy(self._catalog, row_id)
        if copy is None:
            raise RuntimeError(f"candidate {row_id} has a fingerprint, but no small copy")
        # What a person can no longer see must not hide what they could see; what they rejected is done with.
        if copy.verdict is not Verdict.REJECT and not (self._project.folder / copy.path).is_file():
            _log.warning("candidate %s is gone (%s): nothing is a duplicate of it", copy.id, copy.path)
            return None
        return to_small(copy.pixels)


def to_small(pixels: bytes) -> NDArray[np.uint8]:
    """Return a small copy as the catalog has it as an array, 32 x 32 x 3."""
    return np.frombuffer(pixels, np.uint8).reshape(SMALL_SIDE, SMALL_SIDE, 3)


def to_stored(fingerprint: Fingerprint, kind: str) -> StoredFingerprint:
    """Return a fingerprint, made with this kind of hash, as the catalog keeps it."""
    return StoredFingerprint(
        kind, hashing.to_hex(fingerprint.image_hash), hashing.to_hex(fingerprint.image_hash_mirrored),
        fingerprint.texture, fingerprint.coarse.tobytes(), fingerprint.small.tobytes(),
    )  # fmt: skip


def load(project: Project, catalog: Catalog, which: Compared) -> tuple[NDArray[np.int64], Prints]:
    """Return row ids and fingerprints of those of the selected candidates that have one.

    Those that have none, or one of another kind of hash than project.toml asks for, get theirs first.
    """
    kind = project.settings.dedupe.hash
    _complete(project, catalog, which, kind)
    rows = measurements.prints(catalog, project.name, which, kind)
    if not rows:
        return np.zeros(0, np.int64), Prints.of([])
    ids, image_hash, mirrored, texture, coarse = zip(*rows, strict=True)
    return np.array(ids, np.int64), Prints(
        _from_hex(image_hash),
        _from_hex(mirrored),
        np.array(texture, np.float64),
        np.frombuffer(b"".join(coarse), np.uint8).reshape(len(rows), -1),
    )


def _from_hex(texts: Sequence[str]) -> NDArray[np.uint64]:
    """As hashing.from_hex, of many."""
    return np.frombuffer(bytes.fromhex("".join(texts)), ">u8").astype(np.uint64)


def _complete(project: Project, catalog: Catalog, which: Compared, kind: str) -> None:
    """Make the fingerprints that are missing or of another kind.

    Where a file is gone its small copy stands in; what has none is left out.
    """
    files = measurements.without_print(catalog, project.name, which, kind)
    for start in range(0, len(files), _BATCH):
        pictures = {}
        for file in files[start : start + _BATCH]:
            try:
                pictures[file.row] = images.open_picture(project.folder / file.path)
            except UserError as error:
                copy = measurements.small_copy(catalog, file.row)
                if copy is None:
                    _log.warning("candidate %s cannot be compared with new ones: %s", file.id, error)
                    continue
                pictures[file.row] = Image.fromarray(to_small(copy.pixels))
        fingerprints = hashing.fingerprints(list(pictures.values()), kind)
        made = {row: to_stored(one, kind) for row, one in zip(pictures, fingerprints, strict=True)}
        measurements.set_fingerprints(catalog, made)
