"""Groups of look-alikes, of which one is shown and the others are hidden, and a person's corrections to them."""

from collections.abc import Iterable
from dataclasses import dataclass

from bootstrap.catalog import Catalog, candidate_states, candidates, kept_apart, measurements
from bootstrap.catalog.candidates import ORIGINAL, Candidate
from bootstrap.catalog.measurements import Compared
from bootstrap.catalog.states import KEPT, CandidateState
from bootstrap.commands import command
from bootstrap.curation.duplicates import Limits
from bootstrap.curation.known import KnownPictures, load_prints
from bootstrap.errors import UserError
from bootstrap.pictures.thumbnails import make_thumbnail
from bootstrap.project.projects import Project


@dataclass(frozen=True)
class Cluster:
    """A candidate, or the original, with its duplicates."""

    representative: Candidate | None  # None: the original
    others: tuple[Candidate, ...]  # in order of drawing


def clusters(catalog: Catalog, project: str, generation: int | None = None) -> list[Cluster]:
    """Return the groups of two or more, largest first.

    Args:
        generation: list only duplicates of this generation; None: of all.
    """
    duplicates_of: dict[str, list[Candidate]] = {}
    for duplicate in candidates.candidates(
        catalog, project, generation=generation, state=CandidateState.DUPLICATE
    ):
        duplicates_of.setdefault(duplicate.duplicate_of or ORIGINAL, []).append(duplicate)
    return [
        Cluster(
            None if shown_id == ORIGINAL else candidates.candidate(catalog, project, shown_id),
            tuple(duplicates),
        )
        for shown_id, duplicates in sorted(duplicates_of.items(), key=lambda item: -len(item[1]))
    ]


def represent(project: Project, catalog: Catalog, candidate_id: str) -> None:
    """Show this duplicate in place of its group's representative.

    Raises:
        UserError: it is no duplicate, duplicates the original, or cannot be read, or the representative has a verdict.
    """
    chosen = candidates.candidate(catalog, project.name, candidate_id)
    if chosen.state is not CandidateState.DUPLICATE:
        raise UserError(
            f"candidate '{candidate_id}': it is no duplicate ({chosen.state}), so it already represents itself"
        )
    if chosen.duplicate_of == ORIGINAL:
        raise UserError(
            f"candidate '{candidate_id}': it is a duplicate of the original, which always stays; if it is not, run "
            f"`{command('keep-apart', project.name, candidate_id, 'original')}`"
        )
    if not make_thumbnail(project, chosen):
        raise UserError(f"candidate '{candidate_id}': its picture {chosen.path} cannot be read")
    candidate_states.represent(catalog, project.name, chosen.id)


def keep_apart(project: Project, catalog: Catalog, first_id: str, second_id: str, reviewer: str) -> list[str]:
    """Record permanently that two pictures are no duplicates, and show a candidate that only the pair kept hidden.

    Args:
        first_id: a candidate's full id.
        second_id: another candidate's full id, or "original".
        reviewer: who decided it.

    Returns:
        The ids of those of the two that are shown from now on.

    Raises:
        UserError: both are the same candidate, or a picture cannot be read.
    """
    if first_id == second_id:
        raise UserError(f"candidate '{first_id}': a picture cannot be kept apart from itself")
    kept_apart.add(catalog, project.name, first_id, second_id, reviewer)
    pair = [
        candidates.candidate(catalog, project.name, candidate_id)
        for candidate_id in (first_id, second_id)
        if candidate_id != ORIGINAL
    ]
    hidden = [
        candidate.id
        for candidate in pair
        if candidate.state is CandidateState.DUPLICATE and candidate.duplicate_of in (first_id, second_id)
    ]
    compare_again(project, catalog, hidden)
    compared = {
        candidate_id: candidates.candidate(catalog, project.name, candidate_id) for candidate_id in hidden
    }
    return [
        candidate_id
        for candidate_id, candidate in compared.items()
        if candidate.state is not CandidateState.DUPLICATE
    ]


def compare_again(project: Project, catalog: Catalog, only: Iterable[str] | None = None) -> tuple[int, int]:
    """Compare candidates again, with the current settings and the pairs that were kept apart.

    Candidates with a verdict do not change. Shown candidates are compared before hidden ones, so that a group keeps its
    representative as long as the group stays the same.

    Args:
        only: ids of candidates; None for all without a verdict.

    Returns:
        How many candidates are newly shown, and how many newly hidden.

    Raises:
        UserError: the original or the settings cannot be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    only_ids = None if only is None else tuple(only)
    compared = Compared((*KEPT, CandidateState.DUPLICATE), decided=False, only=only_ids, duplicates_last=True)
    staying = Compared(decided=True) if only_ids is None else Compared(but=only_ids)
    first = measurements.first_compared(catalog, project.name, compared)
    if first is None:
        return 0, 0
    known = KnownPictures(project, catalog, first.size, limits, staying)
    ids, prints = load_prints(project, catalog, compared)
    row_ids = ids.tolist()
    duplicate_of = known.add(row_ids, prints, {}, kept_apart.row_pairs(catalog, project.name))
    # Only a picture with a thumbnail is shown, so not one that cannot be read.
    appearing = candidate_states.duplicates_among(
        catalog, [row for row in row_ids if row not in duplicate_of]
    )
    readable = {row for row, candidate in appearing.items() if make_thumbnail(project, candidate)}
    hidden = candidate_states.note_compared(catalog, row_ids, duplicate_of, readable)
    return len(readable), hidden
