"""Measurements on the candidates' pictures: fingerprints, small copies, quality, scores, features.

The catalog only stores them; bootstrap.pictures and bootstrap.curation define what they mean.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from bootstrap.catalog.generations import generation_row
from bootstrap.catalog.states import KEPT, CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import IN_TURN, CandidateRow, FeatureRow, PickRow, ProjectRow, SmallCopyRow
from bootstrap.catalog.tables import damaged as damaged
from bootstrap.shots import Shot

AT_ONCE = 500  # values per query: databases limit their number


@dataclass(frozen=True)
class StoredFingerprint:
    """A picture's fingerprint as the catalog stores it; see bootstrap.pictures.hashing.Fingerprint."""

    hash_kind: str  # the setting dedupe.hash when it was computed
    image_hash: str  # 16 hex digits
    image_hash_mirrored: str
    texture: float
    coarse: bytes  # 64 gray levels
    small: bytes  # 32 x 32 x 3, RGB


@dataclass(frozen=True)
class Measured:
    """The measurements on a picture that need no model."""

    fingerprint: StoredFingerprint
    quality: float  # 0 to 1
    flaw: str  # "": none


@dataclass(frozen=True)
class PictureFile:
    """A candidate's picture."""

    row: int  # the catalog's row number of the candidate
    id: str  # 16 hex digits
    path: Path  # relative to the project's folder
    size: tuple[int, int]  # width and height in pixels


class PrintColumns(NamedTuple):  # of ten thousand, data classes would take as long as reading the rows
    """A fingerprint without its small copy, for the first comparison; see StoredFingerprint."""

    row: int
    image_hash: str
    image_hash_mirrored: str
    texture: float
    coarse: bytes


@dataclass(frozen=True)
class SmallCopy:
    """A candidate's pixels, with which later candidates are compared."""

    id: str
    path: Path  # of the picture, relative to the project's folder
    verdict: Verdict
    pixels: bytes  # 32 x 32 x 3, RGB


@dataclass(frozen=True)
class Compared:
    """Which candidates of a project to compare, in the order of planning."""

    states: tuple[CandidateState, ...] = KEPT
    decided: bool | None = None  # True: only those with a verdict; False: only those without
    only: tuple[str, ...] | None = None  # only these ids
    but: tuple[str, ...] = ()  # not these ids
    duplicates_last: bool = False


ALL_KEPT = Compared()


@dataclass(frozen=True)
class ModelScores:
    """The scores of a candidate that need a model."""

    values: Mapping[str, float]  # by name, see bootstrap.catalog.scores; the catalog keeps the others
    embedder: str = ""  # that computed the vector
    vector: bytes | None = None  # float16


def note(session: Session, row: CandidateRow, measured: Measured) -> None:
    """Record the measurements on a candidate's picture, within the caller's transaction."""
    note_fingerprint(session, row, measured.fingerprint)
    row.quality, row.flaw = measured.quality, measured.flaw


def note_fingerprint(session: Session, row: CandidateRow, fingerprint: StoredFingerprint) -> None:
    """Record a candidate's fingerprint, within the caller's transaction; the row must have its id."""
    row.hash_kind = fingerprint.hash_kind
    row.image_hash = fingerprint.image_hash
    row.image_hash_mirrored = fingerprint.image_hash_mirrored
    row.texture = fingerprint.texture
    row.coarse = fingerprint.coarse
    session.merge(SmallCopyRow(candidate_id=row.id, pixels=fingerprint.small))


def drawn_files(catalog: Catalog, project: str, number: int) -> list[PictureFile]:
    """Return the candidates of a generation that were drawn but not curated yet, in the order of planning."""
    with catalog.read() as session:
        rows = session.scalars(
            select(CandidateRow)
            .where(
                CandidateRow.generation_id == generation_row(session, project, number).id,
                CandidateRow.state == CandidateState.DRAWN,
            )
            .order_by(*IN_TURN)
        )
        return [_file(row) for row in rows]


def _file(row: CandidateRow) -> PictureFile:
    return PictureFile(row.id, row.shot_id, Path(row.path), (row.shot["width"], row.shot["height"]))


def measured(catalog: Catalog, rows: Sequence[int], hash_kind: str) -> dict[int, Measured]:
    """Return the measurements on candidates by row, for those that have all of them with this kind of hash."""
    query = select(CandidateRow, SmallCopyRow.pixels).join(
        SmallCopyRow, SmallCopyRow.candidate_id == CandidateRow.id
    )
    by_row = {}
    with catalog.read() as session:
        for part in _parts(rows):
            for row, pixels in session.execute(query.where(CandidateRow.id.in_(part))):
                if row.hash_kind == hash_kind and row.quality is not None and row.texture is not None:
                    stored = StoredFingerprint(
                        hash_kind, str(row.image_hash), str(row.image_hash_mirrored), row.texture,
                        row.coarse or b"", pixels,
                    )  # fmt: skip
                    by_row[row.id] = Measured(stored, row.quality, row.flaw or "")
    return by_row


def prints(catalog: Catalog, project: str, which: Compared, hash_kind: str) -> list[PrintColumns]:
    """Return the fingerprints of the candidates to compare that have one of this kind of hash."""
    query = (
        _compared(project, which)
        .with_only_columns(
            CandidateRow.id, CandidateRow.image_hash, CandidateRow.image_hash_mirrored, CandidateRow.texture,
            CandidateRow.coarse,
        )
        .where(CandidateRow.coarse.is_not(None), CandidateRow.hash_kind == hash_kind)
    )  # fmt: skip
    with catalog.read() as session:
        return [PrintColumns(*columns) for columns in session.execute(query)]


def without_print(catalog: Catalog, project: str, which: Compared, hash_kind: str) -> list[PictureFile]:
    """Return the candidates to compare that have no fingerprint, or one of another kind of hash."""
    missing = or_(CandidateRow.coarse.is_(None), CandidateRow.hash_kind != hash_kind)
    with catalog.read() as session:
        return [_file(row) for row in session.scalars(_compared(project, which).where(missing))]


def first_compared(catalog: Catalog, project: str, which: Compared) -> PictureFile | None:
    """Return the first of the candidates to compare, or None if there are none."""
    with catalog.read() as session:
        row = session.scalar(_compared(project, which).limit(1))
    return _file(row) if row else None


def _compared(project: str, which: Compared) -> Select[tuple[CandidateRow]]:
    query = (
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state.in_(which.states))
    )
    if which.decided is not None:
        is_undecided = CandidateRow.verdict == Verdict.UNDECIDED
        query = query.where(~is_undecided if which.decided else is_undecided)
    if which.only is not None:
        query = query.where(CandidateRow.shot_id.in_(which.only))
    if which.but:
        query = query.where(CandidateRow.shot_id.not_in(which.but))
    last = (CandidateRow.state == CandidateState.DUPLICATE,) if which.duplicates_last else ()
    return query.order_by(*last, *IN_TURN)


def set_fingerprints(catalog: Catalog, fingerprints: Mapping[int, StoredFingerprint]) -> None:
    """Record fingerprints by row, in one transaction."""
    with catalog.write() as session:
        for row, fingerprint in fingerprints.items():
            note_fingerprint(session, session.get_one(CandidateRow, row), fingerprint)


def whole(stored: object, size: int, what: str) -> bytes:
    """Return bytes that the catalog has stored, once they are of the right number.

    Args:
        size: how many there must be; negative: a multiple of it, and not none.

    Raises:
        UserError: they are no bytes, or of another number.
    """
    if isinstance(stored, bytes) and (
        len(stored) == size if size >= 0 else bool(stored) and len(stored) % -size == 0
    ):
        return stored
    raise damaged(f"{what} is not what sid stores there")


def id_of(catalog: Catalog, row: int) -> str:
    """Return the id of the candidate with this row number."""
    with catalog.read() as session:
        return session.get_one(CandidateRow, row).shot_id


def small_copy(catalog: Catalog, row: int) -> SmallCopy | None:
    """Return a candidate's small copy, or None if it has none."""
    return small_copies(catalog, [row]).get(row)


def small_copies(catalog: Catalog, rows: Iterable[int]) -> dict[int, SmallCopy]:
    """Return the small copies of candidates by row; candidates without one are left out."""
    query = select(
        CandidateRow.id, CandidateRow.shot_id, CandidateRow.path, CandidateRow.verdict, SmallCopyRow.pixels
    ).join(SmallCopyRow, SmallCopyRow.candidate_id == CandidateRow.id)
    by_row = {}
    with catalog.read() as session:
        for part in _parts(list(rows)):
            for row, candidate_id, path, verdict, pixels in session.execute(
                query.where(CandidateRow.id.in_(part))
            ):
                by_row[row] = SmallCopy(candidate_id, Path(path), verdict, pixels)
    return by_row


def unscored(
    catalog: Catalog, project: str, number: int, *, needs_vectors: bool
) -> list[tuple[PictureFile, Shot]]:
    """Return the kept candidates of a generation that lack scores, each with its shot, in the order of planning.

    Args:
        needs_vectors: True: those that lack closeness; False: those that lack agreement.
    """
    missing = CandidateRow.closeness if needs_vectors else CandidateRow.agreement
    with catalog.read() as session:
        rows = session.scalars(
            select(CandidateRow)
            .where(CandidateRow.generation_id == generation_row(session, project, number).id)
            .where(missing.is_(None), CandidateRow.state.in_(KEPT))
            .order_by(*IN_TURN)
        )
        return [(_file(row), Shot.from_dict(row.shot, f"catalog: candidate '{row.shot_id}'")) for row in rows]


def set_scores(catalog: Catalog, scores: Mapping[int, ModelScores]) -> None:
    """Record scores and vectors by row, in one transaction."""
    with catalog.write() as session:
        for number, new in scores.items():
            row = session.get_one(CandidateRow, number)
            for name, value in new.values.items():
                setattr(row, name, value)
            if new.vector is not None:
                session.merge(FeatureRow(candidate_id=number, embedder=new.embedder, vector=new.vector))


class Vector(NamedTuple):
    """An embedder's features of a candidate's picture."""

    id: str
    embedder: str  # vectors of different embedders cannot be compared
    vector: bytes  # float16


def vectors_of(catalog: Catalog, project: str, ids: Collection[str]) -> list[Vector]:
    """Return the vectors of these candidates; candidates without one are left out."""
    query = (
        select(CandidateRow.shot_id, FeatureRow.embedder, FeatureRow.vector)
        .join(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.shot_id.in_(ids))
    )
    with catalog.read() as session:
        return [Vector(*columns) for columns in session.execute(query)]


def vectors_of_picks(catalog: Catalog, project: str) -> list[Vector]:
    """Return the vectors of the dataset's picks; picks without one are left out."""
    owner = select(ProjectRow.id).where(ProjectRow.name == project).scalar_subquery()
    query = (
        select(CandidateRow.shot_id, FeatureRow.embedder, FeatureRow.vector)
        .join(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        # "+ 0" keeps SQLite from scanning all candidates of the project, few of which are picks.
        .where(CandidateRow.id.in_(select(PickRow.candidate_id)), CandidateRow.project_id + 0 == owner)
    )
    with catalog.read() as session:
        return [Vector(*columns) for columns in session.execute(query)]


def _parts(rows: Sequence[int]) -> Iterable[Sequence[int]]:
    return (rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE))
