"""Groups of look-alikes: one of each is shown, the others are hidden behind it; and what a person says of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bootstrap.catalog import Catalog, candidates
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.generations import project_row
from bootstrap.catalog.tables import IN_TURN, CandidateRow, GenerationRow, KeptApartRow, ProjectRow
from bootstrap.curation.duplicates import Limits
from bootstrap.curation.known import ORIGINAL, Known, kept, load
from bootstrap.errors import UserError
from bootstrap.pictures.thumbnails import make_thumbnail
from bootstrap.project.projects import Project


@dataclass(frozen=True)
class Cluster:
    """A candidate, or the original, with the candidates that show it again."""

    representative: Candidate | None  # None: the original
    others: tuple[Candidate, ...]  # in order of drawing


def clusters(catalog: Catalog, project: str, generation: int | None = None) -> list[Cluster]:
    """Return the groups of two or more, the largest first.

    Args:
        generation: only groups with a duplicate of this generation.
    """
    hidden: dict[str, list[Candidate]] = {}
    for one in candidates.candidates(catalog, project, generation=generation, state="duplicate"):
        hidden.setdefault(one.duplicate_of or ORIGINAL, []).append(one)
    return [
        Cluster(None if shown == ORIGINAL else candidates.candidate(catalog, project, shown), tuple(others))
        for shown, others in sorted(hidden.items(), key=lambda item: -len(item[1]))
    ]


def represent(project: Project, catalog: Catalog, candidate_id: str) -> None:
    """Show this duplicate in place of the candidate that stands for its group.

    Raises:
        UserError: it is no duplicate, shows the original again, cannot be read, or the other one has a verdict.
    """
    chosen = candidates.candidate(catalog, project.name, candidate_id)
    if chosen.state != "duplicate":
        raise UserError(
            f"candidate '{candidate_id}': it is no duplicate ({chosen.state}), and stands for itself"
        )
    if chosen.duplicate_of == ORIGINAL:
        raise UserError(
            f"candidate '{candidate_id}': it shows the original again, which stays; if it does not, "
            f"`sid keep-apart {project.name} {candidate_id} original`"
        )
    if not make_thumbnail(project, chosen):
        raise UserError(f"candidate '{candidate_id}': its picture {chosen.path} cannot be read")
    with catalog.write() as session:
        row, shown = (_row(session, project.name, one) for one in (chosen.id, str(chosen.duplicate_of)))
        if shown.verdict != "undecided":
            raise UserError(
                f"candidate '{shown.shot_id}': it has a verdict ({shown.verdict}); take it back first with "
                f"`sid undo {project.name} {shown.shot_id}`"
            )
        of_group = select(CandidateRow).where(
            CandidateRow.project_id == row.project_id, CandidateRow.duplicate_of == shown.shot_id
        )
        for other in session.scalars(of_group).all():
            other.duplicate_of = row.shot_id
        row.state, row.duplicate_of = shown.state, None
        shown.state, shown.duplicate_of = "duplicate", row.shot_id


def keep_apart(project: Project, catalog: Catalog, one: str, other: str, reviewer: str) -> list[str]:
    """Note for good that two pictures are no duplicates; what was hidden for it alone is shown.

    Args:
        one: a candidate's whole id.
        other: another one's, or "original".
        reviewer: who says so.

    Returns:
        The ids of those of the two that are shown from now on.

    Raises:
        UserError: they are the same one, or a picture cannot be read.
    """
    if one == other:
        raise UserError(f"candidate '{one}': a picture cannot be kept apart from itself")
    first, second = sorted((one, other))
    with catalog.write() as session:
        owner = project_row(session, project.name)
        known = select(KeptApartRow).where(
            KeptApartRow.project_id == owner.id, KeptApartRow.one == first, KeptApartRow.other == second
        )
        if session.scalar(known) is None:
            session.add(KeptApartRow(project_id=owner.id, one=first, other=second, reviewer=reviewer))
    pair = [candidates.candidate(catalog, project.name, name) for name in (one, other) if name != ORIGINAL]
    hidden = [a.id for a in pair if a.state == "duplicate" and a.duplicate_of in (one, other)]
    compare_again(project, catalog, hidden)
    return [name for name in hidden if candidates.candidate(catalog, project.name, name).state != "duplicate"]


def compare_again(project: Project, catalog: Catalog, only: Iterable[str] | None = None) -> tuple[int, int]:
    """Compare candidates anew, with the settings as they are now and with what was kept apart.

    Who has a verdict stays as it is. Who is shown now is asked before who is hidden, so that the same one stands for
    a group as long as the group is the same.

    Args:
        only: ids of candidates; None for all without a verdict.

    Returns:
        How many are shown that were not, and hidden that were not.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    compared = (
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project.name, CandidateRow.verdict == "undecided")
        .where(CandidateRow.state.in_(("curated", "published", "duplicate")))
        .order_by(CandidateRow.state == "duplicate", *IN_TURN)
    )
    staying = kept(project.name)
    if only is None:
        staying = staying.where(CandidateRow.verdict != "undecided")
    else:
        compared = compared.where(CandidateRow.shot_id.in_(list(only)))
        staying = staying.where(CandidateRow.shot_id.not_in(list(only)))
    with catalog.read() as session:
        first = session.scalar(compared.limit(1))
    if first is None:
        return 0, 0
    known = Known(project, catalog, (first.shot["width"], first.shot["height"]), limits, staying)
    ids, prints = load(project, catalog, compared)
    duplicate_of = known.add(ids.tolist(), prints, {}, _kept_apart(catalog, project.name))
    return _commit(project, catalog, ids.tolist(), duplicate_of)


def _commit(
    project: Project, catalog: Catalog, ids: list[int], duplicate_of: dict[int, str]
) -> tuple[int, int]:
    with catalog.read() as session:
        rows = [session.get_one(CandidateRow, row_id) for row_id in ids]
    # A picture is put up with its thumbnail, and not at all when it cannot be read.
    appearing = [one for one in rows if one.state == "duplicate" and one.id not in duplicate_of]
    readable = {
        one.id
        for one in appearing
        if make_thumbnail(project, candidates.candidate(catalog, project.name, one.shot_id))
    }
    hidden = 0
    with catalog.write() as session:
        for row_id in ids:
            row = session.get_one(CandidateRow, row_id)
            if row.verdict != "undecided":  # given in the meantime
                continue
            if row_id in duplicate_of:
                hidden += row.state != "duplicate"
                row.state, row.duplicate_of = "duplicate", duplicate_of[row_id]
            elif row_id in readable:
                up = session.get_one(GenerationRow, row.generation_id).state in ("published", "grown")
                row.state, row.duplicate_of = ("published" if up else "curated"), None
    return len(readable), hidden


def _kept_apart(catalog: Catalog, project: str) -> set[tuple[int, int]]:
    """Pairs of row ids, both ways round; the original is 0."""
    with catalog.read() as session:
        pairs = session.execute(
            select(KeptApartRow.one, KeptApartRow.other).join(ProjectRow).where(ProjectRow.name == project)
        ).all()
        names = {name for pair in pairs for name in pair}
        found = session.execute(
            select(CandidateRow.shot_id, CandidateRow.id)
            .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
            .where(ProjectRow.name == project, CandidateRow.shot_id.in_(names))
        ).all()
    row_of = {ORIGINAL: 0} | {one.shot_id: one.id for one in found}
    known = [(row_of[one], row_of[other]) for one, other in pairs if one in row_of and other in row_of]
    return {(one, other) for a, b in known for one, other in ((a, b), (b, a))}


def _row(session: Session, project: str, shot_id: str) -> CandidateRow:
    return session.scalars(
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.shot_id == shot_id)
    ).one()
