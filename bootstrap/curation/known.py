"""The pictures that new candidates are compared with, read from the catalog instead of decoded again."""

import logging
from collections.abc import Collection, Sequence
from functools import lru_cache
from string import hexdigits

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bootstrap import images, reading
from bootstrap.catalog import Catalog, measurements
from bootstrap.catalog.candidates import ORIGINAL
from bootstrap.catalog.measurements import ALL_KEPT, Compared, StoredFingerprint
from bootstrap.catalog.states import Verdict
from bootstrap.curation.duplicates import Limits, Prints, look_alikes
from bootstrap.errors import UserError
from bootstrap.pictures import hashing
from bootstrap.pictures.hashing import COARSE_SIDE, SMALL_SIDE, Fingerprint
from bootstrap.project.projects import Project

_SMALLS_IN_MEMORY = 20_000  # 3 KiB each
_HASH_DIGITS = 16
_BATCH = 64  # pictures per commit

_log = logging.getLogger(__name__)


class KnownPictures:
    """The original and all candidates of a project that are no duplicates, in the order of drawing."""

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
            size: width and height in pixels that the original is scaled and cropped to, as for training.
            limits: when two pictures are duplicates.
            which: the candidates to read.

        Raises:
            UserError: the original cannot be read.
        """
        self._project, self._catalog, self._limits = project, catalog, limits
        original = images.fit(images.open_picture(project.original), *size)
        self._original = hashing.fingerprint(original, project.settings.dedupe.hash)
        ids, prints = load_prints(project, catalog, which)
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
        """Find the duplicates among new candidates, and add the rest to the known pictures.

        Args:
            ids: row ids of the new candidates, in order.
            prints: their fingerprints.
            smalls: small copies by row id, for candidates without one in the catalog.
            apart: pairs of row ids (new, earlier; 0 is the original) that are no duplicates.

        Returns:
            {row id of a duplicate: shot id of the candidate that it duplicates, or ORIGINAL}.
        """
        first = len(self._ids)
        all_ids = np.concatenate([self._ids, np.asarray(ids, np.int64)])
        all_prints = self._prints + prints
        index_of = {int(row_id): index for index, row_id in enumerate(all_ids)} if apart else {}
        duplicate_of = look_alikes(
            all_prints,
            first,
            lambda i: smalls[int(all_ids[i])] if int(all_ids[i]) in smalls else self._small(int(all_ids[i])),
            self._limits,
            {(index_of[new], index_of[old]) for new, old in apart if new in index_of and old in index_of},
        )
        is_kept = np.ones(len(all_ids), bool)
        is_kept[list(duplicate_of)] = False
        self._ids, self._prints = all_ids[is_kept], all_prints[is_kept]
        return {int(all_ids[new]): self._name(int(all_ids[old])) for new, old in duplicate_of.items()}

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
        # A picture that nobody can see any more must not hide one that they could see; a reject needs no file.
        if copy.verdict is not Verdict.REJECT and not (self._project.folder / copy.path).is_file():
            _log.warning("candidate %s is gone (%s): nothing is a duplicate of it", copy.id, copy.path)
            return None
        return to_small(copy.pixels)


def to_small(pixels: bytes) -> NDArray[np.uint8]:
    """Return the catalog's small copy as an array, 32 x 32 x 3."""
    size = SMALL_SIDE * SMALL_SIDE * 3
    return np.frombuffer(measurements.whole(pixels, size, "a small copy"), np.uint8).reshape(
        SMALL_SIDE, SMALL_SIDE, 3
    )


def to_stored(fingerprint: Fingerprint, kind: str) -> StoredFingerprint:
    """Return a fingerprint, made with this kind of hash, in the catalog's form."""
    return StoredFingerprint(
        kind, hashing.to_hex(fingerprint.image_hash), hashing.to_hex(fingerprint.image_hash_mirrored),
        fingerprint.texture, fingerprint.coarse.tobytes(), fingerprint.small.tobytes(),
    )  # fmt: skip


def load_prints(project: Project, catalog: Catalog, which: Compared) -> tuple[NDArray[np.int64], Prints]:
    """Return row ids and fingerprints of the selected candidates.

    Fingerprints that are missing, or have another kind of hash than project.toml sets, are computed and stored first.
    Candidates with neither a file nor a small copy are left out.
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
        np.frombuffer(
            b"".join(measurements.whole(cells, COARSE_SIDE**2, "a coarse copy") for cells in coarse), np.uint8
        ).reshape(len(rows), -1),
    )


def _from_hex(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return many hashes at once, see hashing.from_hex: (n,)."""
    digits = "".join(texts)
    if any(len(text) != _HASH_DIGITS for text in texts) or not set(digits) <= set(hexdigits):
        raise measurements.damaged("an image hash is not what sid stores there")
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def _complete(project: Project, catalog: Catalog, which: Compared, kind: str) -> None:
    """Compute and store the fingerprints that are missing or of another kind.

    The small copy replaces a missing file; candidates with neither are left out.
    """
    files = measurements.without_print(catalog, project.name, which, kind)
    for start in range(0, len(files), _BATCH):
        pictures = {}
        for file in files[start : start + _BATCH]:
            try:
                path = reading.inside(project.folder, file.path, f"candidate '{file.id}'")
                pictures[file.row] = images.open_picture(path)
            except UserError as error:
                copy = measurements.small_copy(catalog, file.row)
                if copy is None:
                    _log.warning("candidate %s cannot be compared with new candidates: %s", file.id, error)
                    continue
                pictures[file.row] = Image.fromarray(to_small(copy.pixels))
        fingerprints = hashing.fingerprints(list(pictures.values()), kind)
        stored = {
            row: to_stored(fingerprint, kind) for row, fingerprint in zip(pictures, fingerprints, strict=True)
        }
        measurements.set_fingerprints(catalog, stored)
