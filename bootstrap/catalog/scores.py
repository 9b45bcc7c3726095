"""The scores of a candidate: measured before anyone looks at it.

A new score is a field of Scores, a column of the same name in tables.py with its migration, and the code that computes
it (bootstrap.curation.scoring). Queue, grid, cards and JSON then have it.
"""

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Score:
    """What a score is called, and what it means."""

    title: str
    meaning: str


def _score(title: str, meaning: str) -> Any:
    return field(default=None, metadata={"score": Score(title, meaning)})


@dataclass(frozen=True)
class Scores:
    """What was measured on a candidate; None: not measured."""

    # Source of the measures: bootstrap.pictures.quality for the first, bootstrap.curation.scoring for the others.
    quality: float | None = _score("Quality", "How free of noise, blur and burnt colours it is: 0 to 1")
    flaw: str = ""  # blank, noise or burnt; "": none
    closeness: float | None = _score(
        "Closeness", "How much it looks like the original: 1 is the same picture"
    )  # -1 to 1
    novelty: float | None = _score(
        "Novelty", "How much it differs from all pictures of the dataset: 0 shows nothing new"
    )  # 0 to 2
    agreement: float | None = _score(
        "Prompt match", "Share of the prompt's tags that the tagger sees in it: 0 to 1"
    )


SCORES: dict[str, Score] = {each.name: each.metadata["score"] for each in fields(Scores) if each.metadata}
NOT_MEASURED = Scores()
