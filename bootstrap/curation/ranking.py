"""The order of the queue: likely picks first, but varied, and now and then one that the verdicts leave open.

How likely a pick is, a logistic regression learns from all verdicts of the project: from the candidates' scores, what
they look like, and how they were drawn. Before there are enough verdicts the scores alone say. The order never
accepts or rejects anything.
"""

import logging
import threading
import time
import warnings
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bootstrap.catalog import Catalog, published
from bootstrap.catalog.states import Verdict
from bootstrap.errors import UserError
from bootstrap.project.generation import Generation

_NEEDED = 5  # verdicts of each kind before what is learned stands alone
_FEW = 2  # before it has a say beside the scores
_MOST_LOOKS = 16  # principal components of the vectors
_STRENGTH = 0.3  # inverse of the regularization: few verdicts, many numbers
_VARIETY = 0.35  # how much being like those just before, more than most are, costs against being likely
_SAMPLE = 100  # vectors, to know how alike most are
_BEFORE = 6  # how many those are
_FADING = 0.7  # how much less each of them counts than the one after it
_AHEAD = 200  # of how many likely ones the next is chosen
_REST = 4.0  # how many times as long as a ranking took the next one waits: thousands take seconds
_OPEN_EVERY = 8  # every so many-th place goes to one that the verdicts leave open

_background = ThreadPoolExecutor(1, "ranking")
_waiting: set[tuple[str, str, int]] = set()
_resting: dict[tuple[str, str, int], float] = {}  # until when, time.monotonic()
_lock = threading.Lock()

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learned:
    """How likely candidates are to become picks."""

    likely: NDArray[np.float64]  # (n,), 0 to 1
    is_learned: bool  # from verdicts; else from scores alone


def rank(generation: Generation, staying: int = 0) -> None:
    """Put the undecided candidates of a generation in order, after those with a verdict.

    Args:
        staying: so many stay first, as they are: the reviewer may be looking at them already.
    """
    rows, vectors = read(generation.catalog, generation.project.name)
    mine = [index for index, row in enumerate(rows) if row.generation == generation.number]
    queue = sorted(
        (index for index in mine if rows[index].verdict is Verdict.UNDECIDED),
        key=lambda index: (rows[index].rank, rows[index].id),
    )
    if not queue:
        return
    learned = learn(rows, vectors)
    first, rest = queue[:staying], np.array(queue[staying:], np.int64)
    order = first + rest[arrange(learned.likely[rest], vectors[rest], learned.is_learned)].tolist()
    decided = len(mine) - len(queue)
    moved = {
        rows[index].id: decided + place
        for place, index in enumerate(order, 1)
        if rows[index].rank != decided + place
    }
    published.set_ranks(generation.catalog, moved)


def unlikely(generation: Generation, below: float) -> list[tuple[str, float]]:
    """Return the undecided candidates of a generation that are less likely to become picks than `below`.

    Nothing is decided by this: it is for a person to confirm.

    Returns:
        Ids and likelihoods (0 to 1), the least likely first.

    Raises:
        UserError: there are too few verdicts to tell.
    """
    project, catalog = generation.project.name, generation.catalog
    rows, vectors = read(catalog, project)
    learned = learn(rows, vectors)
    if not learned.is_learned:
        raise UserError(
            f"project '{project}': nothing is learned yet, it takes {_NEEDED} verdicts of each kind"
        )
    found = {
        row.id: float(likely)
        for row, likely in zip(rows, learned.likely, strict=True)
        if row.generation == generation.number and row.verdict is Verdict.UNDECIDED and likely < below
    }
    ids = published.ids_of(catalog, found)
    return [(ids[row], likely) for row, likely in sorted(found.items(), key=lambda one: one[1])]


def rank_soon(generation: Generation, staying: int) -> None:
    """Do as `rank`, in the background: returns at once; what is asked for while it waits is done once.

    Shortly after a ranking nothing is done: it would take the server's time from the reviewer, for a few verdicts.
    """
    key = (generation.catalog.url, generation.project.name, generation.number)
    with _lock:
        if key in _waiting or time.monotonic() < _resting.get(key, 0.0):
            return
        _waiting.add(key)

    def work() -> None:
        with _lock:
            _waiting.discard(key)
        began = time.monotonic()
        try:
            rank(generation, staying)
        except Exception:  # the queue keeps its order, and the next verdict tries again
            _log.exception("%s: ranking failed", generation)
        finally:
            ended = time.monotonic()
            with _lock:
                _resting[key] = ended + _REST * (ended - began)

    _background.submit(work)


@dataclass(frozen=True)
class RankedCandidate:
    """What is known of a published candidate."""

    id: int
    generation: int
    verdict: Verdict
    rank: int
    recipe: str
    strength: float
    snapshot: int
    scores: tuple[float | None, ...]  # quality, closeness, novelty, agreement
    changes: tuple[str, ...] = ()  # what the recipe left out or put in: "no hat", "with smile"


def learn(rows: list[RankedCandidate], vectors: NDArray[np.float32]) -> Learned:
    """Return how likely each of (n,) candidates is, learned from those of them that have a verdict.

    Args:
        rows: of all generations.
        vectors: (n, d) of length 1; zeros where there is none.
    """
    scores = _filled(np.array([row.scores for row in rows], np.float64).reshape(len(rows), -1))
    accepted = np.array([row.verdict is Verdict.ACCEPT for row in rows])
    decided = accepted | np.array([row.verdict is Verdict.REJECT for row in rows])
    of_each = int(min(accepted.sum(), (decided & ~accepted).sum()))
    if of_each < _FEW:
        return Learned(_by_scores(scores), False)
    from sklearn.linear_model import LogisticRegression  # a second that other verbs need not wait
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = np.concatenate([scores, _how_drawn(rows), _looks(vectors)], axis=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not quite converged orders well enough
        model.fit(known[decided], accepted[decided])
    likely = model.predict_proba(known)[:, 1]
    if of_each >= _NEEDED:
        return Learned(likely, True)
    return Learned((likely + _by_scores(scores)) / 2, False)


def arrange(likely: NDArray[np.float64], vectors: NDArray[np.float32], with_open: bool) -> list[int]:
    """Return the indices of n candidates in the order of the queue.

    The next one is the most likely, less what it has in common with the most similar of those just before it
    (maximal marginal relevance: Carbonell and Goldstein, 1998).

    Args:
        likely: (n,), 0 to 1.
        vectors: (n, d) of length 1, or zeros.
        with_open: every _OPEN_EVERY-th place goes to the one whose likelihood is nearest to one half.
    """
    left = np.argsort(-likely, kind="stable")
    usual = _usual_likeness(vectors)
    order: list[int] = []
    while len(left):
        if with_open and len(order) % _OPEN_EVERY == _OPEN_EVERY - 1:
            chosen = int(np.argmin(np.abs(likely[left] - 0.5)))
        else:
            ahead = left[:_AHEAD]
            before = order[: -_BEFORE - 1 : -1]  # the last one first
            # Candidates of one project are all somewhat alike: only what is more so than most is a look-alike.
            more = np.maximum(0, vectors[ahead] @ vectors[before].T - usual) / (1 - usual)
            alike = (more * _FADING ** np.arange(len(before))).max(axis=1, initial=0)
            worth = (1 - _VARIETY) * likely[ahead] - _VARIETY * alike
            chosen = int(np.argmax(worth))
        order.append(int(left[chosen]))
        left = np.delete(left, chosen)
    return order


def _usual_likeness(vectors: NDArray[np.float32]) -> float:
    """The median cosine of two different ones of (n, d) vectors, 0 to less than 1."""
    some = vectors[:: max(1, len(vectors) // _SAMPLE)]
    if len(some) < 2:
        return 0.0
    cosines = (some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.clip(np.median(cosines), 0, 0.99))


def read(catalog: Catalog, project: str) -> tuple[list[RankedCandidate], NDArray[np.float32]]:
    """Return all published candidates of a project as drawn, and their vectors (n, d) (zeros where there is none)."""
    found = published.ranked(catalog, project)
    rows = []
    for one in found:
        lora = (one.shot["loras"] or [{"strength": 0.0, "snapshot": 0}])[0]
        rows.append(
            RankedCandidate(
                one.row,
                one.generation,
                one.verdict,
                one.rank,
                one.shot["recipe"],
                lora["strength"],
                lora["snapshot"],
                (one.quality, one.closeness, one.novelty, one.agreement),
                (
                    *(f"no {tag}" for tag in one.shot["eliminated"]),
                    *(f"with {tag}" for tag in one.shot["added"]),
                ),
            )
        )
    # The latest embedder's: another one's vectors have another meaning.
    latest = next((name for *_, name, _ in reversed(found) if name), None)
    parts = [
        np.frombuffer(vector, np.float16) if name == latest and vector else None for *_, name, vector in found
    ]
    width = next((len(part) for part in parts if part is not None), 1)
    vectors = np.zeros((len(found), width), np.float32)
    for index, part in enumerate(parts):
        if part is not None:
            vectors[index] = part
    return rows, vectors


def _filled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """With the column's mean where nothing was measured, 0 where nothing of the column was."""
    measured = ~np.isnan(scores)
    means = np.where(measured, scores, 0).sum(axis=0) / np.maximum(1, measured.sum(axis=0))
    return np.where(measured, scores, means)


def _by_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each candidate's places by score, 0 (none is worse) to 1; equal scores have equal places."""
    return _places(scores).mean(axis=1)


def _places(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(
        [np.searchsorted(np.sort(column), column, side="left") / len(column) for column in scores.T], axis=1
    )


def _how_drawn(rows: list[RankedCandidate]) -> NDArray[np.float64]:
    """Strength, and a column for each recipe, strength, snapshot and change: what works best may lie in the middle."""
    strengths = np.array([[row.strength] for row in rows])
    return np.concatenate(
        [
            strengths,
            _columns([[row.recipe] for row in rows]),
            _columns([[round(row.strength, 1)] for row in rows]),
            _columns([[row.snapshot] for row in rows]),
            _columns([row.changes for row in rows]),
        ],
        axis=1,
    )


def _columns(values: Sequence[Sequence[Hashable]]) -> NDArray[np.float64]:
    """(n, number of different values): 1 where a row has the value."""
    place = {value: index for index, value in enumerate(dict.fromkeys(one for row in values for one in row))}
    columns = np.zeros((len(values), len(place)))
    for number, row in enumerate(values):
        for value in row:
            columns[number, place[value]] = 1
    return columns


def _looks(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The vectors' first principal components, (n, at most _MOST_LOOKS)."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return centred @ directions[:, ::-1][:, :_MOST_LOOKS]
