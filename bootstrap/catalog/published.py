"""Published candidates by the thousand, in the few columns that the queue's order and the grid need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select, update

from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import IN_TURN, CandidateRow, FeatureRow, GenerationRow, ProjectRow
from bootstrap.shots import Shot

SCORES = ("quality", "closeness", "novelty", "agreement")
_AT_ONCE = 500  # values in a query: databases limit their number


# Named tuples here, for of ten thousand a data class of each would cost as much as reading them.
class Ranked(NamedTuple):
    """What the queue's order goes by."""

    row: int  # the catalog's own number of the candidate
    generation: int
    verdict: Verdict
    rank: int
    shot: dict[str, Any]  # see Shot.to_dict
    quality: float | None
    closeness: float | None
    novelty: float | None
    agreement: float | None
    embedder: str | None
    vector: bytes | None  # float16


class Listed(NamedTuple):
    """What can change of a candidate that the grid shows."""

    row: int
    id: str
    verdict: Verdict
    reason: str
    rank: int
    quality: float | None
    closeness: float | None
    novelty: float | None
    agreement: float | None
    generation: int


@dataclass(frozen=True)
class Occurring:
    """What occurs among the published candidates of a project."""

    generations: list[int]
    reasons: list[str]  # of rejects
    scores: list[str]  # names of those that were measured


def ranked(catalog: Catalog, project: str) -> list[Ranked]:
    """Return all published candidates of a project as planned."""
    query = (
        select(
            CandidateRow.id, GenerationRow.number, CandidateRow.verdict, CandidateRow.rank, CandidateRow.shot,
            CandidateRow.quality, CandidateRow.closeness, CandidateRow.novelty, CandidateRow.agreement,
            FeatureRow.embedder, FeatureRow.vector,
        )
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .outerjoin(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.PUBLISHED)
        .order_by(*IN_TURN)
    )  # fmt: skip
    with catalog.read() as session:
        return [Ranked(*columns) for columns in session.execute(query)]


def set_ranks(catalog: Catalog, ranks: Mapping[int, int]) -> None:
    """Give candidates their places in the queue, by row."""
    if not ranks:
        return
    change = update(CandidateRow).where(CandidateRow.id == bindparam("row")).values(rank=bindparam("place"))
    moved = [{"row": row, "place": place} for row, place in ranks.items()]
    with catalog.write() as session:
        session.connection().execute(change, moved)


def ids_of(catalog: Catalog, rows: Iterable[int]) -> dict[int, str]:
    """Return the ids of candidates by row."""
    with catalog.read() as session:
        return {row: session.get_one(CandidateRow, row).shot_id for row in rows}


def listed(catalog: Catalog, project: str) -> list[Listed]:
    """Return all published candidates of a project by generation, then as drawn."""
    query = (
        select(
            CandidateRow.id, CandidateRow.shot_id, CandidateRow.verdict, CandidateRow.reason, CandidateRow.rank,
            CandidateRow.quality, CandidateRow.closeness, CandidateRow.novelty, CandidateRow.agreement,
            GenerationRow.number,
        )
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.PUBLISHED)
        .order_by(GenerationRow.number, CandidateRow.id)
    )  # fmt: skip
    with catalog.read() as session:
        return [Listed(*columns) for columns in session.execute(query)]


def rows_of(catalog: Catalog, project: str) -> set[int]:
    """Return the catalog's numbers of all published candidates of a project."""
    with catalog.read() as session:
        return set(session.scalars(_published(project).with_only_columns(CandidateRow.id)))


def shots_of(catalog: Catalog, rows: Sequence[int]) -> dict[int, Shot]:
    """Return the shots of candidates by row."""
    found: dict[int, Shot] = {}
    with catalog.read() as session:
        for first in range(0, len(rows), _AT_ONCE):
            part = select(CandidateRow.id, CandidateRow.shot).where(
                CandidateRow.id.in_(rows[first : first + _AT_ONCE])
            )
            found |= {row: Shot.from_dict(shot) for row, shot in session.execute(part)}
    return found


def occurring(catalog: Catalog, project: str) -> Occurring:
    """Return what the published candidates of a project can be filtered by."""
    published = _published(project)
    with catalog.read() as session:
        numbers = session.scalars(
            published.join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
            .with_only_columns(GenerationRow.number)
            .distinct()
            .order_by(GenerationRow.number)
        ).all()
        reasons = session.scalars(published.with_only_columns(CandidateRow.reason).distinct()).all()
        counts = session.execute(
            published.with_only_columns(*(func.count(getattr(CandidateRow, name)) for name in SCORES))
        ).one()
    measured = [name for name, count in zip(SCORES, counts, strict=True) if count]
    return Occurring(list(numbers), sorted(filter(None, reasons)), measured)


def _published(project: str) -> Select[tuple[CandidateRow]]:
    return (
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.PUBLISHED)
    )
