"""The states of generations and candidates, the verdicts, and which of them may follow which.

Every change of a state or verdict goes through `move`, which refuses what the tables below do not allow.
"""

from enum import StrEnum
from typing import Any


class GenerationState(StrEnum):
    """How far a generation has come, in the order in which it passes through them."""

    WAITING = "waiting"
    TRAINING = "training"
    DRAWING = "drawing"
    CURATING = "curating"
    PUBLISHED = "published"  # its candidates are up for review
    GROWN = "grown"  # its picks are in the dataset: the next run begins the next generation
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_running(self) -> bool:
        """Whether a run works on the generation, or will; true as well of one whose process was killed."""
        return self is GenerationState.WAITING or self.is_begun

    @property
    def is_begun(self) -> bool:
        """Whether a run was in the midst of its work."""
        return self in (GenerationState.TRAINING, GenerationState.DRAWING, GenerationState.CURATING)

    @property
    def is_up_for_review(self) -> bool:
        """Whether the reviewer sees its candidates."""
        return self in (GenerationState.PUBLISHED, GenerationState.GROWN)


class CandidateState(StrEnum):
    """What has become of a candidate."""

    DRAWN = "drawn"  # its file is there, and nothing has looked at it yet
    CURATED = "curated"  # it shows something new
    PUBLISHED = "published"  # it is up for review
    DUPLICATE = "duplicate"  # it is hidden behind the one that it shows again
    FLAWED = "flawed"  # it is hidden because of a flaw
    BROKEN = "broken"  # its file is missing or damaged


class Verdict(StrEnum):
    """What a reviewer has decided of a candidate."""

    UNDECIDED = "undecided"
    ACCEPT = "accept"
    REJECT = "reject"


State = GenerationState | CandidateState | Verdict

KEPT = (CandidateState.CURATED, CandidateState.PUBLISHED)  # that new candidates are compared with

_G, _C, _V = GenerationState, CandidateState, Verdict
_STOPPED = {_G.FAILED, _G.CANCELLED}
_STATIONS = {_G.TRAINING, _G.DRAWING, _G.CURATING}

# What may follow each state besides itself: a station that is called again finishes its own work.
AFTER_GENERATION_STATE: dict[GenerationState, set[GenerationState]] = {
    _G.WAITING: {_G.TRAINING, *_STOPPED},
    # Another run of the same generation begins with training, whatever the one before had come to.
    _G.TRAINING: {_G.DRAWING, *_STOPPED},
    _G.DRAWING: {_G.TRAINING, _G.CURATING, *_STOPPED},
    _G.CURATING: {_G.TRAINING, _G.DRAWING, _G.PUBLISHED, *_STOPPED},
    # A run that waits for the GPU, or has just published, can still be stopped.
    _G.PUBLISHED: {_G.GROWN, *_STATIONS, *_STOPPED},
    _G.GROWN: set(),
    _G.FAILED: {_G.CANCELLED, *_STATIONS},
    # `reindex` publishes generations that come back as cancelled.
    _G.CANCELLED: {_G.FAILED, _G.PUBLISHED, *_STATIONS},
}
AFTER_CANDIDATE_STATE: dict[CandidateState, set[CandidateState]] = {
    # A pick that the dataset's folder has is up for review, whatever the catalog knew of its candidate (`reindex`).
    _C.DRAWN: {_C.CURATED, _C.DUPLICATE, _C.BROKEN, _C.PUBLISHED},
    _C.CURATED: {_C.PUBLISHED, _C.FLAWED, _C.DUPLICATE, _C.BROKEN},
    # With other settings it may show again what is there.
    _C.PUBLISHED: {_C.DUPLICATE, _C.BROKEN},
    # It takes the place, and the state, of the candidate that it was hidden behind.
    _C.DUPLICATE: {_C.CURATED, _C.PUBLISHED, _C.FLAWED, _C.BROKEN},
    _C.FLAWED: {_C.PUBLISHED, _C.DUPLICATE, _C.BROKEN},
    _C.BROKEN: {_C.DRAWN, _C.PUBLISHED},
}
AFTER_VERDICT: dict[Verdict, set[Verdict]] = {
    # A reviewer may change their mind, and undo brings any verdict back.
    _V.UNDECIDED: {_V.ACCEPT, _V.REJECT},
    _V.ACCEPT: {_V.REJECT, _V.UNDECIDED},
    _V.REJECT: {_V.ACCEPT, _V.UNDECIDED},
}
# By kind, for "published" of the one kind equals "published" of the other: both are texts.
_AFTER: dict[type[State], dict[Any, Any]] = {
    GenerationState: AFTER_GENERATION_STATE,
    CandidateState: AFTER_CANDIDATE_STATE,
    Verdict: AFTER_VERDICT,
}


def move(row: Any, to: State) -> None:
    """Bring a generation's or candidate's row into a state, or give a candidate a verdict.

    Args:
        row: a GenerationRow or CandidateRow.
        to: a GenerationState for the one, a CandidateState or Verdict for the other.

    Raises:
        RuntimeError: it may not follow the present one; that is a mistake in sid.
    """
    field = "verdict" if isinstance(to, Verdict) else "state"
    before = getattr(row, field)
    if type(before) is not type(to):
        raise RuntimeError(f"{type(to).__name__} {to} is given to a {type(row).__name__}")
    if to is not before and to not in _AFTER[type(to)][before]:
        raise RuntimeError(f"{type(to).__name__}: {to} cannot follow {before}")
    setattr(row, field, to)
