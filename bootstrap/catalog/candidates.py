"""Candidates in the catalog: listed, found by id, in the order in which they are drawn or reviewed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Select, func, select

from bootstrap import captions
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, PickRow, ProjectRow
from bootstrap.errors import UserError
from bootstrap.shots import Shot

ID_LENGTH = 16  # of a whole id, in hex digits
ORIGINAL = "original"  # in place of a candidate's id


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
    state: CandidateState
    duplicate_of: str | None  # a candidate's id, or "original"
    verdict: Verdict
    reviewer: str
    decided_at: datetime | None
    reason: str = ""  # of a reject, where one was given
    edited_caption: str | None = None  # as a reviewer wrote it
    scores: Scores = Scores()
    seconds: float | None = None  # that drawing it took: its share of its batch's wall time

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
        Scores(row.quality, row.flaw or "", row.closeness, row.novelty, row.agreement), row.seconds,
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
    state: CandidateState | None = CandidateState.PUBLISHED,
    verdict: Verdict | None = None,
    ranked: bool = False,
) -> list[Candidate]:
    """Return a project's candidates by generation, then as drawn.

    Args:
        generation: only of this generation.
        state: only in this state; None for all, duplicates included.
        verdict: only with this standing verdict.
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
        .where(*of_generation(project, generation), CandidateRow.state == CandidateState.PUBLISHED)
        .group_by(CandidateRow.verdict)
    )
    with catalog.read() as session:
        by_verdict = {verdict: int(number) for verdict, number in session.execute(query)}
    return Counts(
        *(by_verdict.get(verdict, 0) for verdict in (Verdict.UNDECIDED, Verdict.ACCEPT, Verdict.REJECT))
    )


def ids(catalog: Catalog, project: str) -> set[str]:
    """Return the ids of all candidates of a project, whatever has become of them."""
    query = select(CandidateRow.shot_id).join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
    with catalog.read() as session:
        return set(session.scalars(query.where(ProjectRow.name == project)))


def paths(catalog: Catalog, project: str, only: Collection[str] | None = None) -> dict[str, Path]:
    """Return where the pictures of a project's candidates are, relative to its folder, by id; broken ones left out.

    Args:
        only: of these ids, broken ones too.
    """
    query = (
        select(CandidateRow.shot_id, CandidateRow.path)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project)
    )
    query = query.where(
        CandidateRow.state != CandidateState.BROKEN if only is None else CandidateRow.shot_id.in_(only)
    )
    with catalog.read() as session:
        return {candidate_id: Path(path) for candidate_id, path in session.execute(query)}


def drawn_count(catalog: Catalog, project: str, generation: int) -> int:
    """Return how many candidates of a generation are there; broken ones do not count."""
    query = select(func.count()).where(
        *of_generation(project, generation), CandidateRow.state != CandidateState.BROKEN
    )
    with catalog.read() as session:
        return session.scalar(query) or 0


def hidden_behind(catalog: Catalog, project: str, shown: Collection[str]) -> dict[str, list[str]]:
    """Return the ids of the duplicates that are hidden behind each of these candidates; none: left out."""
    query = (
        select(CandidateRow.duplicate_of, CandidateRow.shot_id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == CandidateState.DUPLICATE)
        .where(CandidateRow.duplicate_of.in_(shown))
        .order_by(CandidateRow.id)
    )
    behind: dict[str, list[str]] = {}
    with catalog.read() as session:
        for candidate_id, duplicate in session.execute(query):
            behind.setdefault(str(candidate_id), []).append(duplicate)
    return behind


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
