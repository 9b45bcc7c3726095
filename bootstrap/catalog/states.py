"""The states of generations and candidates, the verdicts, and the transitions between them.

Their values are the words for them, one for each: in JSON, in the terminal, in the app and in the docs.
docs/review-app.md explains them to users.

Every change of a state or verdict goes through `move`, which refuses transitions that the tables below do not allow.
"""

from enum import StrEnum
from typing import Any

# A generation that a run has begun and whose process is gone. No state of the catalog: nobody was left to record it.
INTERRUPTED = "interrupted"

# What is counted of a generation's candidates, and the field of GenerationStatus that counts it.
COUNTED = {
    "drawn": "candidates",
    "duplicates": "duplicates",
    "published": "published",
    "undecided": "undecided",
    "accepted": "accepted",
    "rejected": "rejected",
}


class GenerationState(StrEnum):
    """How far a generation has come, in the order of its stations."""

    WAITING = "waiting"
    TRAINING = "training"
    DRAWING = "drawing"
    CURATING = "curating"
    PUBLISHED = "published"  # its candidates can be reviewed
    GROWN = "grown"  # its picks are in the dataset: the next run begins the next generation
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_running(self) -> bool:
        """Whether a run works on the generation, or will; also true if the run's process was killed."""
        return self is GenerationState.WAITING or self.is_begun

    @property
    def is_begun(self) -> bool:
        """Whether a run has begun its work and not ended it."""
        return self in (GenerationState.TRAINING, GenerationState.DRAWING, GenerationState.CURATING)

    @property
    def is_up_for_review(self) -> bool:
        """Whether the reviewer sees its candidates."""
        return self in (GenerationState.PUBLISHED, GenerationState.GROWN)


class CandidateState(StrEnum):
    """How far a candidate has come, or why it is hidden."""

    DRAWN = "drawn"  # its file exists; it has not been curated yet
    CURATED = "curated"  # it shows something new
    PUBLISHED = "published"  # it is shown to the reviewer
    DUPLICATE = "duplicate"  # it is hidden behind the candidate that it repeats
    FLAWED = "flawed"  # it is hidden because of a flaw
    BROKEN = "broken"  # its file is missing or damaged


class Verdict(StrEnum):
    """A reviewer's decision on a candidate."""

    UNDECIDED = "undecided"
    ACCEPT = "accept"
    REJECT = "reject"


State = GenerationState | CandidateState | Verdict

KEPT = (CandidateState.CURATED, CandidateState.PUBLISHED)  # that new candidates are compared with

_G, _C, _V = GenerationState, CandidateState, Verdict
_STOPPED = {_G.FAILED, _G.CANCELLED}
_STATIONS = {_G.TRAINING, _G.DRAWING, _G.CURATING}

# The states that may follow each state. Each may also follow itself: a station that is called again finishes its
# own work.
AFTER_GENERATION_STATE: dict[GenerationState, set[GenerationState]] = {
    # Pictures can be imported before anything is trained.
    _G.WAITING: {_G.TRAINING, _G.CURATING, *_STOPPED},
    # Another run of the same generation begins with training, wherever the previous run ended.
    _G.TRAINING: {_G.DRAWING, *_STOPPED},
    _G.DRAWING: {_G.TRAINING, _G.CURATING, *_STOPPED},
    _G.CURATING: {_G.TRAINING, _G.DRAWING, _G.PUBLISHED, *_STOPPED},
    # A run that waits for the GPU, or has just published, can still be stopped.
    _G.PUBLISHED: {_G.GROWN, *_STATIONS, *_STOPPED},
    _G.GROWN: set(),
    _G.FAILED: {_G.CANCELLED, *_STATIONS},
    # `reindex` restores generations as cancelled and then publishes them.
    _G.CANCELLED: {_G.FAILED, _G.PUBLISHED, *_STATIONS},
}
AFTER_CANDIDATE_STATE: dict[CandidateState, set[CandidateState]] = {
    # `reindex` publishes the candidate of each pick in the dataset's folder, whatever state the catalog had for it.
    _C.DRAWN: {_C.CURATED, _C.DUPLICATE, _C.BROKEN, _C.PUBLISHED},
    _C.CURATED: {_C.PUBLISHED, _C.FLAWED, _C.DUPLICATE, _C.BROKEN},
    # With other settings it may turn out to be a duplicate.
    _C.PUBLISHED: {_C.DUPLICATE, _C.BROKEN},
    # It takes the place and state of the candidate that it was hidden behind.
    _C.DUPLICATE: {_C.CURATED, _C.PUBLISHED, _C.FLAWED, _C.BROKEN},
    _C.FLAWED: {_C.PUBLISHED, _C.DUPLICATE, _C.BROKEN},
    _C.BROKEN: {_C.DRAWN, _C.PUBLISHED},
}
AFTER_VERDICT: dict[Verdict, set[Verdict]] = {
    # A reviewer may change their mind, and undo restores any verdict.
    _V.UNDECIDED: {_V.ACCEPT, _V.REJECT},
    _V.ACCEPT: {_V.REJECT, _V.UNDECIDED},
    _V.REJECT: {_V.ACCEPT, _V.UNDECIDED},
}
# By type, because the members are strings: a generation's "published" equals a candidate's "published".
_AFTER: dict[type[State], dict[Any, Any]] = {
    GenerationState: AFTER_GENERATION_STATE,
    CandidateState: AFTER_CANDIDATE_STATE,
    Verdict: AFTER_VERDICT,
}


def move(row: Any, to: State) -> None:
    """Move a generation's or candidate's row to a state, or give a candidate a verdict.

    Args:
        row: a GenerationRow or CandidateRow.
        to: a GenerationState for a GenerationRow; a CandidateState or Verdict for a CandidateRow.

    Raises:
        RuntimeError: the new state may not follow the current one, which is a bug in sid.
    """
    field = "verdict" if isinstance(to, Verdict) else "state"
    before = getattr(row, field)
    if type(before) is not type(to):
        raise RuntimeError(f"{type(to).__name__} {to} is given to a {type(row).__name__}")
    if to is not before and to not in _AFTER[type(to)][before]:
        raise RuntimeError(f"{type(to).__name__}: {to} cannot follow {before}")
    setattr(row, field, to)
