"""Candidates in the catalog: listed, found by id, in the order in which they are drawn or reviewed."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Select, select

from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow
from bootstrap.errors import UserError
from bootstrap.shots import Shot


@dataclass(frozen=True)
class Scores:
    """What is known of a candidate before anyone looks at it; None: not measured."""

    quality: float | None = None  # 0 to 1, see bootstrap.curation.quality
    flaw: str = ""  # blank, noise, burnt, or nothing
    closeness: float | None = None  # -1 to 1, see bootstrap.curation.scoring
    novelty: float | None = None  # 0 to 2
    agreement: float | None = None  # 0 to 1


@dataclass(frozen=True)
class Candidate:
    """A picture drawn from a shot, as the reviewer and the command line see it."""

    id: str  # the shot's id, 16 hex digits
    generation: int
    shot: Shot
    path: Path  # relative to the project's folder
    state: str  # drawn, curated, published, duplicate, flawed, broken
    duplicate_of: str | None  # a candidate's id, or "original"
    verdict: str  # undecided, accept, reject
    reviewer: str
    decided_at: datetime | None
    scores: Scores = Scores()

    @property
    def thumbnail(self) -> Path:
        """The small WebP beside the picture, relative to the project's folder."""
        return self.path.parent.parent / "thumbnails" / f"{self.id}.webp"


def _to_candidate(row: CandidateRow, generation: int) -> Candidate:
    return Candidate(
        row.shot_id, generation, Shot.from_dict(row.shot), Path(row.path), row.state, row.duplicate_of,
        row.verdict, row.reviewer, row.decided_at,
        Scores(row.quality, row.flaw or "", row.closeness, row.novelty, row.agreement),
    )  # fmt: skip


def _of_project(project: str) -> Select[tuple[CandidateRow, int]]:
    return (
        select(CandidateRow, GenerationRow.number)
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project)
    )


def candidates(
    catalog: Catalog,
    project: str,
    *,
    generation: int | None = None,
    state: str | None = "published",
    verdict: str | None = None,
    ranked: bool = False,
) -> list[Candidate]:
    """Return a project's candidates by generation, then as drawn.

    Args:
        generation: only of this generation.
        state: only in this state; None for all, duplicates included.
        verdict: only with this standing verdict: undecided, accept or reject.
        ranked: in the order in which they are reviewed instead: by generation, then by rank.
    """
    order = (CandidateRow.rank, CandidateRow.id) if ranked else (CandidateRow.turn, CandidateRow.id)
    query = _of_project(project).order_by(GenerationRow.number, *order)
    if generation is not None:
        query = query.where(GenerationRow.number == generation)
    if state is not None:
        query = query.where(CandidateRow.state == state)
    if verdict is not None:
        query = query.where(CandidateRow.verdict == verdict)
    with catalog.read() as session:
        return [_to_candidate(row, number) for row, number in session.execute(query)]


def candidate(catalog: Catalog, project: str, candidate_id: str) -> Candidate:
    """Return one candidate by its id, or by a beginning of it that no other one has.

    Raises:
        UserError: no candidate of this project has this id, or several begin so.
    """
    query = (
        _of_project(project).where(CandidateRow.shot_id.startswith(candidate_id, autoescape=True)).limit(2)
    )
    with catalog.read() as session:
        found = session.execute(query).all()
    if not candidate_id or not found:
        raise UserError(
            f"candidate '{candidate_id}': project '{project}' has none with this id (`sid candidates {project}`)"
        )
    if len(found) > 1:
        raise UserError(f"candidate '{candidate_id}': several ids begin so, give more of it")
    return _to_candidate(*found[0])
