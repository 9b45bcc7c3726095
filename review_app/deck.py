"""The deck: which candidate is up, which come next, and giving it a verdict. Knows nothing of Streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.catalog import Catalog, candidates, verdicts
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.cli import reviewer
from bootstrap.curation import ranking

AHEAD = 3  # pictures that the browser fetches before they are shown


@dataclass(frozen=True)
class Deck:
    """A generation's candidates as they lie before the reviewer."""

    current: Candidate | None  # None: all are decided
    position: int  # of the current one, from 1; 0 without one
    upcoming: tuple[Candidate, ...]
    total: int
    accepted: int
    rejected: int

    @property
    def decided(self) -> int:
        """How many have a verdict."""
        return self.accepted + self.rejected


def deal(catalog: Catalog, project: str, generation: int, opened: str | None = None) -> Deck:
    """Return the deck, the first undecided candidate on top, or the one whose id is `opened`."""
    everything = candidates.candidates(catalog, project, generation=generation, ranked=True)
    undecided = [one for one in everything if one.verdict == "undecided"]
    current = next((one for one in everything if one.id == opened), None) or next(iter(undecided), None)
    return Deck(
        current=current,
        position=everything.index(current) + 1 if current else 0,
        upcoming=tuple(one for one in undecided if one is not current)[:AHEAD],
        total=len(everything),
        accepted=sum(one.verdict == "accept" for one in everything),
        rejected=sum(one.verdict == "reject" for one in everything),
    )


def generation_to_review(statuses: Sequence[GenerationStatus]) -> int | None:
    """Return the latest generation with something undecided, else the latest with candidates, else None."""
    shown = [one for one in statuses if one.published]
    waiting = [one for one in shown if one.undecided]
    latest = (waiting or shown)[-1:]
    return latest[0].number if latest else None


def give(catalog: Catalog, project: str, candidate_id: str, verdict: str, seen: str) -> bool:
    """Give a candidate a verdict, committed when this returns.

    Args:
        seen: the verdict that it had when the reviewer saw it.

    Returns:
        False when it has another one by now: a key was pressed twice, or someone else was faster.
    """
    standing = candidates.candidate(catalog, project, candidate_id)
    if standing.verdict != seen:
        return False
    verdicts.decide(catalog, project, [candidate_id], verdict, reviewer())
    ranking.rank_soon(catalog, project, standing.generation, staying=1 + AHEAD)
    return True


def take_back(
    catalog: Catalog, project: str, generation: int | None = None, candidate_id: str | None = None
) -> str | None:
    """Undo this reviewer's last verdict, of one candidate when given; return the candidate's id."""
    return verdicts.undo(catalog, project, candidate_id, generation=generation, reviewer=reviewer())
