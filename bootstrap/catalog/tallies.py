"""How often shots became picks: verdicts summed by recipe, tags, strength and snapshot."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bootstrap import reading
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.catalog.tables import CandidateRow, remedy

# Nobody judged these, but they were drawn in vain.
_WASTED = (CandidateState.DUPLICATE, CandidateState.FLAWED)

_Key = tuple[str, tuple[str, ...], tuple[str, ...], float, int]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    recipe: str
    eliminated: list[str]
    added: list[str]
    strength: float
    snapshot: int
    picks: int
    spent: int


@dataclass(frozen=True)
class Tally:
    """The shots of one kind so far, and how many of them became picks."""

    recipe: str
    eliminated: tuple[str, ...]
    added: tuple[str, ...]
    strength: float  # of the first LoRA
    snapshot: int
    picks: int
    spent: int  # shots that became picks, rejects, duplicates or flawed ones

    def to_dict(self) -> dict[str, Any]:
        """Return the tally as a dict for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> "Tally":
        """Return the tally of a dict from to_dict.

        Raises:
            UserError: the catalog is damaged, and it is none.
        """
        reading.shaped(_Shape, data, "catalog: the tallies of a generation", remedy())
        lists = {key: tuple(data[key]) for key in ("eliminated", "added")}
        return cls(**{**data, **lists})


def of_project(session: Session, project_id: int) -> list[Tally]:
    """Sum up the candidates of all generations of a project; candidates that nobody has judged yet do not count."""
    query = select(CandidateRow.shot, CandidateRow.verdict).where(
        CandidateRow.project_id == project_id,
        or_(CandidateRow.verdict != Verdict.UNDECIDED, CandidateRow.state.in_(_WASTED)),
    )
    picks: Counter[_Key] = Counter()
    spent: Counter[_Key] = Counter()
    for shot, verdict in session.execute(query.execution_options(yield_per=1000)):
        if shot.get("imported"):
            continue  # no recipe asked for it
        first = (shot["loras"] or [{"strength": 0.0, "snapshot": 0}])[0]
        eliminated, added = tuple(shot["eliminated"]), tuple(shot["added"])
        key = shot["recipe"], eliminated, added, first["strength"], first["snapshot"]
        spent[key] += 1
        picks[key] += verdict is Verdict.ACCEPT
    return [Tally(*key, picks[key], spent[key]) for key in sorted(spent)]
