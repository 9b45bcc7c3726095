"""Groups of look-alikes: one of each is shown, the others are hidden behind it; and what a person says of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from bootstrap.catalog import Catalog, candidate_states, candidates, kept_apart, measurements
from bootstrap.catalog.candidates import ORIGINAL, Candidate
from bootstrap.catalog.measurements import Compared
from bootstrap.catalog.states import KEPT, CandidateState
from bootstrap.curation.duplicates import Limits
from bootstrap.curation.known import Known, load
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
    for one in candidates.candidates(catalog, project, generation=generation, state=CandidateState.DUPLICATE):
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
    if chosen.state is not CandidateState.DUPLICATE:
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
    candidate_states.represent(catalog, project.name, chosen.id)


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
    kept_apart.add(catalog, project.name, one, other, reviewer)
    pair = [candidates.candidate(catalog, project.name, name) for name in (one, other) if name != ORIGINAL]
    hidden = [a.id for a in pair if a.state is CandidateState.DUPLICATE and a.duplicate_of in (one, other)]
    compare_again(project, catalog, hidden)
    left = {name: candidates.candidate(catalog, project.name, name) for name in hidden}
    return [name for name, now in left.items() if now.state is not CandidateState.DUPLICATE]


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
    chosen = None if only is None else tuple(only)
    compared = Compared((*KEPT, CandidateState.DUPLICATE), decided=False, only=chosen, duplicates_last=True)
    staying = Compared(decided=True) if chosen is None else Compared(but=chosen)
    first = measurements.first_compared(catalog, project.name, compared)
    if first is None:
        return 0, 0
    known = Known(project, catalog, first.size, limits, staying)
    ids, prints = load(project, catalog, compared)
    rows = ids.tolist()
    duplicate_of = known.add(rows, prints, {}, kept_apart.row_pairs(catalog, project.name))
    # A picture is put up with its thumbnail, and not at all when it cannot be read.
    appearing = candidate_states.duplicates_among(catalog, [row for row in rows if row not in duplicate_of])
    readable = {row for row, candidate in appearing.items() if make_thumbnail(project, candidate)}
    hidden = candidate_states.note_compared(catalog, rows, duplicate_of, readable)
    return len(readable), hidden
