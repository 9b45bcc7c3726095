"""The order of the queue: likely picks first, but varied, and now and then a candidate that the model is unsure about.

A logistic regression learns from all verdicts of the project how likely a candidate is to be picked, given its scores,
its vector and how it was drawn. Until there are enough verdicts, the scores alone decide. The order never accepts or
rejects anything.
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

from bootstrap.catalog import Catalog, measurements, published
from bootstrap.catalog.states import Verdict
from bootstrap.errors import UserError
from bootstrap.project.generation import Generation

_NEEDED = 5  # verdicts of each kind from which the model decides alone
_FEW = 2  # verdicts of each kind from which the model counts as much as the scores
_MOST_LOOKS = 16  # principal components of the vectors
_STRENGTH = 0.3  # inverse of the regularization, which is strong: few verdicts, many features
_VARIETY = 0.35  # weight of unusual likeness to the candidates just before, against the likelihood
_SAMPLE = 100  # vectors from which the usual likeness is estimated
_BEFORE = 6  # candidates just before that are compared
_FADING = 0.7  # factor by which each of them counts less than the one after it
_AHEAD = 200  # likeliest candidates among which the next is chosen
_REST = 4.0  # pause after a ranking, as a multiple of its duration: ranking thousands takes seconds
_OPEN_EVERY = 8  # every how many places one goes to the candidate that the model is least sure about

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
    """Rank the undecided candidates of a generation, after those with a verdict.

    Args:
        staying: this many keep their places at the head of the queue, as the reviewer may already be looking at them.
    """
    rows, vectors = read_candidates(generation.catalog, generation.project.name)
    of_generation = [index for index, row in enumerate(rows) if row.generation == generation.number]
    queue = sorted(
        (index for index in of_generation if rows[index].verdict is Verdict.UNDECIDED),
        key=lambda index: (rows[index].rank, rows[index].id),
    )
    if not queue:
        return
    learned = learn_likelihoods(rows, vectors)
    fixed, movable = queue[:staying], np.array(queue[staying:], np.int64)
    order = (
        fixed + movable[arrange_queue(learned.likely[movable], vectors[movable], learned.is_learned)].tolist()
    )
    decided = len(of_generation) - len(queue)
    new_ranks = {
        rows[index].id: decided + position
        for position, index in enumerate(order, 1)
        if rows[index].rank != decided + position
    }
    published.set_ranks(generation.catalog, new_ranks)


def unlikely(generation: Generation, below: float) -> list[tuple[str, float]]:
    """Return the undecided candidates of a generation whose likelihood of being picked is less than `below`.

    This decides nothing: a person has to confirm it.

    Returns:
        Ids and likelihoods (0 to 1), the least likely first.

    Raises:
        UserError: there are too few verdicts.
    """
    project, catalog = generation.project.name, generation.catalog
    rows, vectors = read_candidates(catalog, project)
    learned = learn_likelihoods(rows, vectors)
    if not learned.is_learned:
        raise UserError(
            f"project '{project}': too few verdicts to learn from; accept and reject at least {_NEEDED} each"
        )
    likelihoods = {
        row.id: float(likely)
        for row, likely in zip(rows, learned.likely, strict=True)
        if row.generation == generation.number and row.verdict is Verdict.UNDECIDED and likely < below
    }
    ids = published.ids_of(catalog, likelihoods)
    return [(ids[row], likely) for row, likely in sorted(likelihoods.items(), key=lambda item: item[1])]


def rank_soon(generation: Generation, staying: int) -> None:
    """Run `rank` in the background and return at once; calls while one is waiting are merged.

    Shortly after a ranking the call does nothing: for a few more verdicts it would slow the server for the reviewer.
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
    """What the ranking uses of a published candidate."""

    id: int
    generation: int
    verdict: Verdict
    rank: int
    recipe: str
    strength: float
    snapshot: int
    scores: tuple[float | None, ...]  # in the order of bootstrap.catalog.scores.SCORES
    changes: tuple[str, ...] = ()  # what the recipe left out or put in: "no hat", "with smile"


def learn_likelihoods(rows: list[RankedCandidate], vectors: NDArray[np.float32]) -> Learned:
    """Return how likely each of n candidates is to be picked, learned from those with a verdict.

    Args:
        rows: the candidates of all generations.
        vectors: (n, d) of length 1; zeros for candidates without a vector.
    """
    scores = _filled(np.array([row.scores for row in rows], np.float64).reshape(len(rows), -1))
    accepted = np.array([row.verdict is Verdict.ACCEPT for row in rows])
    decided = accepted | np.array([row.verdict is Verdict.REJECT for row in rows])
    fewest = int(min(accepted.sum(), (decided & ~accepted).sum()))
    if fewest < _FEW:
        return Learned(_by_scores(scores), False)
    from sklearn.linear_model import LogisticRegression  # takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([scores, _how_drawn(rows), _looks(vectors)], axis=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not quite converged is good enough for an order
        model.fit(features[decided], accepted[decided])
    likely = model.predict_proba(features)[:, 1]
    if fewest >= _NEEDED:
        return Learned(likely, True)
    return Learned((likely + _by_scores(scores)) / 2, False)


def arrange_queue(likely: NDArray[np.float64], vectors: NDArray[np.float32], with_open: bool) -> list[int]:
    """Return the indices of n candidates in the order of the queue.

    The next candidate has the highest likelihood after a deduction for its likeness to the most similar of the
    candidates just before it (maximal marginal relevance: Carbonell and Goldstein, 1998).

    Args:
        likely: (n,), 0 to 1.
        vectors: (n, d) of length 1, or zeros.
        with_open: every _OPEN_EVERY-th place goes to the candidate whose likelihood is nearest to one half.
    """
    remaining = np.argsort(-likely, kind="stable")
    usual_cosine = _usual_likeness(vectors)
    order: list[int] = []
    while len(remaining):
        if with_open and len(order) % _OPEN_EVERY == _OPEN_EVERY - 1:
            chosen = int(np.argmin(np.abs(likely[remaining] - 0.5)))
        else:
            likeliest = remaining[:_AHEAD]
            recent = order[: -_BEFORE - 1 : -1]  # latest first
            # All candidates of a project are somewhat alike: only more likeness than usual counts.
            excess = np.maximum(0, vectors[likeliest] @ vectors[recent].T - usual_cosine) / (1 - usual_cosine)
            likeness = (excess * _FADING ** np.arange(len(recent))).max(axis=1, initial=0)
            worth = (1 - _VARIETY) * likely[likeliest] - _VARIETY * likeness
            chosen = int(np.argmax(worth))
        order.append(int(remaining[chosen]))
        remaining = np.delete(remaining, chosen)
    return order


def _usual_likeness(vectors: NDArray[np.float32]) -> float:
    """Return the median cosine of pairs of (n, d) vectors, 0 to 0.99."""
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    if len(sample) < 2:
        return 0.0
    cosines = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
    return float(np.clip(np.median(cosines), 0, 0.99))


def read_candidates(catalog: Catalog, project: str) -> tuple[list[RankedCandidate], NDArray[np.float32]]:
    """Return all published candidates of a project in the order of drawing, and their vectors (n, d), zeros if none."""
    published_rows = published.ranked(catalog, project)
    rows = []
    for published_row in published_rows:
        lora = (published_row.shot["loras"] or [{"strength": 0.0, "snapshot": 0}])[0]
        rows.append(
            RankedCandidate(
                published_row.row,
                published_row.generation,
                published_row.verdict,
                published_row.rank,
                published_row.shot["recipe"],
                lora["strength"],
                lora["snapshot"],
                published_row.scores,
                (
                    *(f"no {tag}" for tag in published_row.shot["eliminated"]),
                    *(f"with {tag}" for tag in published_row.shot["added"]),
                ),
            )
        )
    # Use the latest embedder's vectors only: those of different embedders cannot be compared.
    latest = next((row.embedder for row in reversed(published_rows) if row.embedder), None)
    parts = [
        np.frombuffer(measurements.whole(row.vector, -2, "a vector"), np.float16)
        if row.embedder == latest and row.vector
        else None
        for row in published_rows
    ]
    width = next((len(part) for part in parts if part is not None), 1)
    vectors = np.zeros((len(published_rows), width), np.float32)
    for index, part in enumerate(parts):
        if part is not None:
            if len(part) != width:
                raise measurements.damaged("a vector is of another length than the others of its embedder")
            vectors[index] = part
    return rows, vectors


def _filled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace missing scores by their column's mean, or by 0 in a column without any."""
    measured = ~np.isnan(scores)
    means = np.where(measured, scores, 0).sum(axis=0) / np.maximum(1, measured.sum(axis=0))
    return np.where(measured, scores, means)


def _by_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each candidate's places by score, 0 (none is worse) to 1; equal scores share a place."""
    return _places(scores).mean(axis=1)


def _places(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(
        [np.searchsorted(np.sort(column), column, side="left") / len(column) for column in scores.T], axis=1
    )


def _how_drawn(rows: list[RankedCandidate]) -> NDArray[np.float64]:
    """Return the strength, and a column for each recipe, strength, snapshot and change.

    Strength has both, because the best one may lie in the middle.
    """
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
    """Return (n, number of different values): 1 where a row has the value, 0 elsewhere."""
    column_of = {
        value: index for index, value in enumerate(dict.fromkeys(value for row in values for value in row))
    }
    columns = np.zeros((len(values), len(column_of)))
    for number, row in enumerate(values):
        for value in row:
            columns[number, column_of[value]] = 1
    return columns


def _looks(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the vectors' first principal components, (n, at most _MOST_LOOKS)."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return centred @ directions[:, ::-1][:, :_MOST_LOOKS]
