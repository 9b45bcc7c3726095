"""From candidates to the dataset: iterate, decide, grow, export."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bootstrap.catalog import Catalog, verdicts
from bootstrap.catalog import candidates as records
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.dataset import exporting, growth
from bootstrap.dataset.growth import Growth
from bootstrap.errors import UserError
from bootstrap.project.projects import Project


def candidates(
    project: Project,
    generation: int | None = None,
    verdict: str | None = None,
    *,
    everything: bool = False,
) -> Iterator[Candidate]:
    """Yield the candidates that are up for review, by generation, then likely picks first.

    Of each, `project.folder / candidate.path` is the PNG, `caption` what it is captioned with as a pick, `shot` all the
    parameters it was drawn with, and `scores` what was measured.

    Args:
        generation: of this generation only, numbered from 1; None: of all.
        verdict: only "undecided", "accept" or "reject"; None: whatever the verdict.
        everything: duplicates and flawed candidates too.

    Raises:
        UserError: there is no such verdict.
    """
    state = None if everything else CandidateState.PUBLISHED
    wanted = None if verdict is None else _verdict(verdict)
    with closing(Catalog(project.workspace.catalog_url)) as catalog:
        yield from records.candidates(
            catalog, project.name, generation=generation, state=state, verdict=wanted, ranked=True
        )


def decide(project: Project, candidate_ids: Sequence[str], verdict: str, reviewer: str = "script") -> None:
    """Give candidates a verdict, all or none: committed when this returns.

    Args:
        candidate_ids: ids, or beginnings of ids that no other candidate of the project has.
        verdict: "accept" or "reject".
        reviewer: who decides, up to 64 characters.

    Raises:
        UserError: there is no such verdict, or a candidate is unknown or not up for review.
    """
    given = _verdict(verdict)
    if given is Verdict.UNDECIDED:
        raise UserError(
            "verdict 'undecided': a candidate without a verdict is undecided; use accept or reject"
        )
    with closing(Catalog(project.workspace.catalog_url)) as catalog:
        ids = [records.candidate(catalog, project.name, beginning).id for beginning in candidate_ids]
        verdicts.decide(catalog, project.name, ids, given, reviewer[:64])


def grow(project: Project) -> Growth:
    """Make the dataset the original plus all accepted candidates; the next generation trains on it.

    Returns:
        How many pictures were added and removed, and how many there are, the original included.

    Raises:
        UserError: nothing has changed, or no generation is up for review; then the dataset stays as it is.
    """
    with closing(Catalog(project.workspace.catalog_url)) as catalog:
        return growth.grow(project, catalog)


def export(project: Project, to_format: str, folder: Path | str) -> int:
    """Copy the dataset into a new or empty folder, whole or not at all, and return how many pictures it has.

    Args:
        to_format: "kohya" (`<repeats>_<project>/NAME.png` with `NAME.txt`) or "imagefolder" (`train/NAME.png` with
            `train/metadata.jsonl`).

    Raises:
        UserError: the format is unknown, the folder is not empty, or a picture is missing.
    """
    with closing(Catalog(project.workspace.catalog_url)) as catalog:
        return exporting.export(project, catalog, to_format, Path(folder))


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        raise UserError(f"verdict '{text}': unknown, use {', '.join(Verdict)}") from None
