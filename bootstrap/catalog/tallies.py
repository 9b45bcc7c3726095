"""How often what was drawn became a pick: verdicts added up by recipe, tags, strength and snapshot."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.tables import CandidateRow

_WASTED = (
    CandidateState.DUPLICATE,
    CandidateState.FLAWED,
)  # nobody judged them, but they were drawn for nothing

_Key = tuple[str, tuple[str, ...], tuple[str, ...], float, int]


@dataclass(frozen=True)
class Tally:
    """The shots of one kind so far, and what became of them."""

    recipe: str
    eliminated: tuple[str, ...]
    added: tuple[str, ...]
    strength: float  # of the first LoRA
    snapshot: int
    picks: int
    spent: int  # shots that became picks, rejects, duplicates or flawed ones

    def to_dict(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Tally":
        """Read back what to_dict gave."""
        lists = {key: tuple(data[key]) for key in ("eliminated", "added")}
        return cls(**{**data, **lists})


def of_project(session: Session, project_id: int) -> list[Tally]:
    """Add up the candidates of all generations of a project; those that nobody has judged yet do not count."""
    query = select(CandidateRow.shot, CandidateRow.verdict).where(
        CandidateRow.project_id == project_id,
        or_(CandidateRow.verdict != Verdict.UNDECIDED, CandidateRow.state.in_(_WASTED)),
    )
    picks: Counter[_Key] = Counter()
    spent: Counter[_Key] = Counter()
    for shot, verdict in session.execute(query.execution_options(yield_per=1000)):
        first = (shot["loras"] or [{"strength": 0.0, "snapshot": 0}])[0]
        gone, put_in = tuple(shot["eliminated"]), tuple(shot["added"])
        key = shot["recipe"], gone, put_in, first["strength"], first["snapshot"]
        spent[key] += 1
        picks[key] += verdict is Verdict.ACCEPT
    return [Tally(*key, picks[key], spent[key]) for key in sorted(spent)]
