"""Candidates in the catalog: list them in the order of drawing or review, or find one by its id."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Select, func, select

from bootstrap import captions
from bootstrap.catalog.scores import NOT_MEASURED, SCORES, Scores
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, PickRow, ProjectRow
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.shots import Shot

ID_LENGTH = 16  # of a whole id, in hex digits
ORIGINAL = "original"  # in place of a candidate's id


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
    reason: str = ""  # of a reject, if one was given
    edited_caption: str | None = None  # as a reviewer wrote it
    scores: Scores = NOT_MEASURED
    seconds: float | None = None  # that drawing it took: its share of its batch's wall time

    @property
    def caption(self) -> str:
        """Its caption as a pick: the one that a reviewer wrote, else its prompt's tags."""
        if self.edited_caption is not None:
            return self.edited_caption
        return captions.join(captions.of_prompt(self.shot.prompt))

    @property
    def thumbnail(self) -> Path:
        """Path of its small WebP, relative to the project's folder."""
        return self.path.parent.parent / "thumbnails" / f"{self.id}.webp"


def to_candidate(row: CandidateRow, generation: int) -> Candidate:
    """Return a row as a Candidate.

    Raises:
        UserError: the shot in the row is damaged.
    """
    shot = Shot.from_dict(row.shot, f"catalog: candidate '{row.shot_id}'")
    return Candidate(
        row.shot_id, generation, shot, Path(row.path), row.state, row.duplicate_of,
        row.verdict, row.reviewer, row.decided_at, row.reason, row.caption,
        Scores(flaw=row.flaw or "", **{name: getattr(row, name) for name in SCORES}), row.seconds,
    )  # fmt: skip


def of_generation(project: str, generation: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that select a generation's candidate rows, in the order of the indexes' columns."""
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
    """Return a project's candidates by generation, then in the order of drawing.

    Args:
        generation: only of this generation.
        state: only in this state; None for all, duplicates included.
        verdict: only with this standing verdict.
        ranked: in the order of review instead: by generation, then by rank.
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
    """Return one candidate by its id, or by a unique prefix of the id.

    Raises:
        UserError: no candidate of this project has this id, or several ids begin with it.
    """
    # A whole id is looked up in the index; for a prefix, all ids of the project are read.
    is_whole = len(candidate_id) == ID_LENGTH
    matches = (
        CandidateRow.shot_id == candidate_id
        if is_whole
        else CandidateRow.shot_id.startswith(candidate_id, autoescape=True)
    )
    with catalog.read() as session:
        matching_rows = session.execute(_of_project(project).where(matches).limit(2)).all()
    if not candidate_id or not matching_rows:
        raise UserError(
            f"candidate '{candidate_id}': project '{project}' has none with this id "
            f"(`{command('candidates', project)}`)"
        )
    if len(matching_rows) > 1:
        raise UserError(f"candidate '{candidate_id}': several ids begin with this; give more digits")
    return to_candidate(*matching_rows[0])


@dataclass(frozen=True)
class Counts:
    """The number of a generation's published candidates by verdict."""

    undecided: int
    accepted: int
    rejected: int

    @property
    def total(self) -> int:
        """Number of all published candidates."""
        return self.undecided + self.accepted + self.rejected


def counts(catalog: Catalog, project: str, generation: int) -> Counts:
    """Return the number of a generation's published candidates by verdict."""
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
    """Return the ids of all candidates of a project, in any state."""
    query = select(CandidateRow.shot_id).join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
    with catalog.read() as session:
        return set(session.scalars(query.where(ProjectRow.name == project)))


def paths(catalog: Catalog, project: str, only: Collection[str] | None = None) -> dict[str, Path]:
    """Return the paths of the candidates' pictures, relative to the project's folder, by id; broken ones are left out.

    Args:
        only: only these ids, and then broken ones too.
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


def newest(catalog: Catalog, project: str, generation: int, most: int) -> list[str]:
    """Return the ids of the pictures that a generation has drawn last, the newest first, whatever their state.

    Broken ones are left out.

    Args:
        most: how many at most.
    """
    query = (
        select(CandidateRow.shot_id)
        .where(*of_generation(project, generation), CandidateRow.state != CandidateState.BROKEN)
        .order_by(CandidateRow.id.desc())
        .limit(most)
    )
    with catalog.read() as session:
        return list(session.scalars(query))


def drawn_count(catalog: Catalog, project: str, generation: int) -> int:
    """Return the number of a generation's drawn candidates; broken ones do not count."""
    query = select(func.count()).where(
        *of_generation(project, generation), CandidateRow.state != CandidateState.BROKEN
    )
    with catalog.read() as session:
        return session.scalar(query) or 0


def began_by_older_rule(catalog: Catalog, project: str, generation: int) -> bool:
    """Whether a generation's first drawn candidate is from before the schedule was a setting; see Shot.schedule.

    Raises:
        UserError: a candidate's shot is damaged.
    """
    query = select(CandidateRow.shot).where(*of_generation(project, generation))
    with catalog.read() as session:
        for shot in session.scalars(query.order_by(CandidateRow.turn, CandidateRow.id)):
            if not shot.get("imported"):
                return not shot.get("schedule")
    return False


def hidden_behind(catalog: Catalog, project: str, shown: Collection[str]) -> dict[str, list[str]]:
    """Return the ids of the duplicates hidden behind each of these candidates; candidates without any are left out."""
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
    """Set the caption that a candidate gets as a pick; an empty text restores the prompt's tags.

    Raises:
        UserError: there is no such candidate, the dataset already has it, or the caption is too long or
            has prompt syntax.
    """
    try:
        captions.check_length(caption, "a caption")
        tags = captions.read(caption)
    except ValueError as error:
        raise UserError(f"candidate '{candidate_id}': {error}") from None
    with catalog.write() as session:
        row = session.scalar(
            select(CandidateRow).join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
            .where(ProjectRow.name == project, CandidateRow.shot_id == candidate_id)
        )  # fmt: skip
        if row is None:
            raise UserError(f"candidate '{candidate_id}': project '{project}' has none with this id")
        if session.scalar(select(PickRow).where(PickRow.candidate_id == row.id)) is not None:
            raise UserError(
                f"candidate '{candidate_id}': it is in the dataset already; change the pick's caption instead"
            )
        row.caption = captions.join(tags) if tags else None
