"""Read thousands of published candidates, with only the columns that the queue's order and the grid need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select, update

from bootstrap.catalog.scores import SCORES
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import IN_TURN, CandidateRow, FeatureRow, GenerationRow, ProjectRow
from bootstrap.shots import Shot

_NAMES = tuple(SCORES)
_SCORE_COLUMNS = [getattr(CandidateRow, name) for name in _NAMES]
_AT_ONCE = 500  # values per query: databases limit their number


# These are named tuples: of ten thousand, data classes would take as long as reading the rows.
class Ranked(NamedTuple):
    """The columns that determine the queue's order."""

    row: int  # the catalog's row number of the candidate
    generation: int
    verdict: Verdict
    rank: int
    shot: dict[str, Any]  # see Shot.to_dict
    embedder: str | None
    vector: bytes | None  # float16
    scores: tuple[float | None, ...]  # in the order of SCORES


class Listed(NamedTuple):
    """The columns that the grid shows and that can change."""

    row: int
    id: str
    verdict: Verdict
    reason: str
    rank: int
    generation: int
    scores: tuple[float | None, ...]  # in the order of SCORES

    def score(self, name: str) -> float | None:
        """Return a score by its name."""
        return self.scores[_NAMES.index(name)]


@dataclass(frozen=True)
class Occurring:
    """The values that a project's published candidates can be filtered by."""

    generations: list[int]
    reasons: list[str]  # of rejects
    scores: list[str]  # names of the scores that were measured


def ranked(catalog: Catalog, project: str) -> list[Ranked]:
    """Return all published candidates of a project, in the order of planning."""
    query = (
        select(
            CandidateRow.id, GenerationRow.number, CandidateRow.verdict, CandidateRow.rank, CandidateRow.shot,
            FeatureRow.embedder, FeatureRow.vector, *_SCORE_COLUMNS,
        )
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .outerjoin(FeatureRow, FeatureRow.candidate_id == CandidateRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.PUBLISHED)
        .order_by(*IN_TURN)
    )  # fmt: skip
    with catalog.read() as session:
        return [Ranked._make([*columns[:7], tuple(columns[7:])]) for columns in session.execute(query)]


def set_ranks(catalog: Catalog, ranks: Mapping[int, int]) -> None:
    """Set the candidates' places in the queue, by row."""
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
    """Return all published candidates of a project by generation, then in the order of drawing."""
    query = (
        select(
            CandidateRow.id, CandidateRow.shot_id, CandidateRow.verdict, CandidateRow.reason, CandidateRow.rank,
            GenerationRow.number, *_SCORE_COLUMNS,
        )
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.PUBLISHED)
        .order_by(GenerationRow.number, CandidateRow.id)
    )  # fmt: skip
    with catalog.read() as session:
        return [Listed._make([*columns[:6], tuple(columns[6:])]) for columns in session.execute(query)]


def rows_of(catalog: Catalog, project: str) -> set[int]:
    """Return the catalog's row numbers of all published candidates of a project."""
    with catalog.read() as session:
        return set(session.scalars(_published(project).with_only_columns(CandidateRow.id)))


def shots_of(catalog: Catalog, rows: Sequence[int]) -> dict[int, Shot]:
    """Return the shots of candidates by row."""
    shots: dict[int, Shot] = {}
    with catalog.read() as session:
        for first in range(0, len(rows), _AT_ONCE):
            part = select(CandidateRow.id, CandidateRow.shot).where(
                CandidateRow.id.in_(rows[first : first + _AT_ONCE])
            )
            shots |= {row: Shot.from_dict(shot, f"catalog: row {row}") for row, shot in session.execute(part)}
    return shots


def occurring(catalog: Catalog, project: str) -> Occurring:
    """Return the values that a project's published candidates can be filtered by."""
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
            published.with_only_columns(*(func.count(column) for column in _SCORE_COLUMNS))
        ).one()
    measured = [name for name, count in zip(SCORES, counts, strict=True) if count]
    return Occurring(list(numbers), sorted(filter(None, reasons)), measured)


def _published(project: str) -> Select[tuple[CandidateRow]]:
    return (
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.PUBLISHED)
    )
