"""Candidates in the catalog: listed, found by id, in the order in which they are drawn or reviewed."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Select, func, select

from bootstrap import captions
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, PickRow, ProjectRow
from bootstrap.errors import UserError
from bootstrap.shots import Shot

ID_LENGTH = 16  # of a whole id, in hex digits


@dataclass(frozen=True)
class Scores:
    """What is known of a candidate before anyone looks at it; None: not measured."""

    quality: float | None = None  # 0 to 1, see bootstrap.pictures.quality
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
    reason: str = ""  # of a reject, where one was given
    edited_caption: str | None = None  # as a reviewer wrote it
    scores: Scores = Scores()

    @property
    def caption(self) -> str:
        """What it is captioned with as a pick: what a reviewer wrote, else its prompt's tags."""
        if self.edited_caption is not None:
            return self.edited_caption
        return captions.join(captions.of_prompt(self.shot.prompt))

    @property
    def thumbnail(self) -> Path:
        """The small WebP beside the picture, relative to the project's folder."""
        return self.path.parent.parent / "thumbnails" / f"{self.id}.webp"


def to_candidate(row: CandidateRow, generation: int) -> Candidate:
    """Return a row as others see it."""
    return Candidate(
        row.shot_id, generation, Shot.from_dict(row.shot), Path(row.path), row.state, row.duplicate_of,
        row.verdict, row.reviewer, row.decided_at, row.reason, row.caption,
        Scores(row.quality, row.flaw or "", row.closeness, row.novelty, row.agreement),
    )  # fmt: skip


def of_generation(project: str, generation: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions on a candidate's row to be of this generation, as the database's indexes begin."""
    owner = select(ProjectRow.id).where(ProjectRow.name == project).scalar_subquery()
    number = (
        select(GenerationRow.id)
        .where(GenerationRow.project_id == owner, GenerationRow.number == generation)
        .scalar_subquery()
    )
    return CandidateRow.project_id == owner, CandidateRow.generation_id == number


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
        return [to_candidate(row, number) for row, number in session.execute(query)]


def candidate(catalog: Catalog, project: str, candidate_id: str) -> Candidate:
    """Return one candidate by its id, or by a beginning of it that no other one has.

    Raises:
        UserError: no candidate of this project has this id, or several begin so.
    """
    # A whole id is looked up in the index; for a beginning, all ids of the project are read.
    is_whole = len(candidate_id) == ID_LENGTH
    fits = (
        CandidateRow.shot_id == candidate_id
        if is_whole
        else CandidateRow.shot_id.startswith(candidate_id, autoescape=True)
    )
    with catalog.read() as session:
        found = session.execute(_of_project(project).where(fits).limit(2)).all()
    if not candidate_id or not found:
        raise UserError(
            f"candidate '{candidate_id}': project '{project}' has none with this id (`sid candidates {project}`)"
        )
    if len(found) > 1:
        raise UserError(f"candidate '{candidate_id}': several ids begin so, give more of it")
    return to_candidate(*found[0])


@dataclass(frozen=True)
class Counts:
    """How far the review of a generation has come."""

    undecided: int
    accepted: int
    rejected: int

    @property
    def total(self) -> int:
        """All that are up for review."""
        return self.undecided + self.accepted + self.rejected


def counts(catalog: Catalog, project: str, generation: int) -> Counts:
    """Return how many of a generation's published candidates have which verdict."""
    query = (
        select(CandidateRow.verdict, func.count())
        .where(*of_generation(project, generation), CandidateRow.state == "published")
        .group_by(CandidateRow.verdict)
    )
    with catalog.read() as session:
        found = {str(verdict): int(number) for verdict, number in session.execute(query)}
    return Counts(found.get("undecided", 0), found.get("accept", 0), found.get("reject", 0))


def set_caption(catalog: Catalog, project: str, candidate_id: str, caption: str) -> None:
    """Note what a candidate shall be captioned with as a pick; an empty text gives the prompt's tags back.

    Raises:
        UserError: there is no such candidate, or the dataset has it already.
    """
    tags = captions.parse(caption)
    with catalog.write() as session:
        row = session.scalar(
            select(CandidateRow).join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
            .where(ProjectRow.name == project, CandidateRow.shot_id == candidate_id)
        )  # fmt: skip
        if row is None:
            raise UserError(f"candidate '{candidate_id}': project '{project}' has none with this id")
        if session.scalar(select(PickRow).where(PickRow.candidate_id == row.id)) is not None:
            raise UserError(
                f"candidate '{candidate_id}': it is in the dataset already, so its caption is the dataset's"
            )
        row.caption = captions.join(tags) if tags else None
