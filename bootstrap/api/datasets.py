"""From candidates to the dataset: iterate, decide, grow, export."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bootstrap.catalog import candidates as records
from bootstrap.catalog import verdicts
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
    """Yield the candidates that are up for review, by generation, likely picks first.

    `project.folder / candidate.path` is the PNG, `candidate.caption` its caption as a pick, `candidate.shot` all the
    parameters it was drawn with, and `candidate.scores` its measured scores.

    Args:
        generation: only candidates of this generation, numbered from 1; None: of all generations.
        verdict: only candidates with this verdict: "undecided", "accept" or "reject"; None: with any.
        everything: include duplicates and flawed candidates.

    Raises:
        UserError: the verdict is unknown.
    """
    state = None if everything else CandidateState.PUBLISHED
    wanted = None if verdict is None else _verdict(verdict)
    with closing(project.workspace.open_catalog()) as catalog:
        yield from records.candidates(
            catalog, project.name, generation=generation, state=state, verdict=wanted, ranked=True
        )


def decide(project: Project, candidate_ids: Sequence[str], verdict: str, reviewer: str = "script") -> None:
    """Give candidates a verdict, all of them or none; it is committed when this returns.

    Args:
        candidate_ids: ids, or beginnings of ids that are unique in the project.
        verdict: "accept" or "reject".
        reviewer: who decides, up to 64 characters.

    Raises:
        UserError: the verdict is unknown, or a candidate is unknown or not up for review.
    """
    decision = _verdict(verdict)
    if decision is Verdict.UNDECIDED:
        raise UserError(
            "verdict 'undecided': a candidate without a verdict is undecided; use accept or reject"
        )
    with closing(project.workspace.open_catalog()) as catalog:
        ids = [records.candidate(catalog, project.name, beginning).id for beginning in candidate_ids]
        verdicts.decide(catalog, project.name, ids, decision, reviewer[:64])


def grow(project: Project) -> Growth:
    """Set the dataset to the original plus all accepted candidates; the next generation trains on it.

    Returns:
        The numbers of pictures added, removed, and in the dataset, the original included.

    Raises:
        UserError: nothing has changed, or no generation is up for review; the dataset stays as it is.
    """
    with closing(project.workspace.open_catalog()) as catalog:
        return growth.grow(project, catalog)


def export(project: Project, to_format: str, folder: Path | str) -> int:
    """Copy the dataset into a new or empty folder, completely or not at all, and return its number of pictures.

    Args:
        to_format: "kohya" (`<repeats>_<project>/NAME.png` with `NAME.txt`) or "imagefolder" (`train/NAME.png` with
            `train/metadata.jsonl`).

    Raises:
        UserError: the format is unknown, the folder is not empty, or a picture is missing.
    """
    with closing(project.workspace.open_catalog()) as catalog:
        return exporting.export(project, catalog, to_format, Path(folder))


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        raise UserError(f"verdict '{text}': unknown, use {', '.join(Verdict)}") from None
