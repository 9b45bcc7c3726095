"""What the grid shows: the candidates that match a filter, each in a few characters. No Streamlit."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bootstrap import reading
from bootstrap.catalog import Catalog, published
from bootstrap.catalog.published import Listed
from bootstrap.catalog.scores import SCORES
from bootstrap.catalog.states import Verdict
from bootstrap.project.projects import Project
from bootstrap.shots import Shot
from review_app.facts import short_label

SORTS = {
    "queue": "Likely picks first",
    "drawn": "As drawn",
    **{name: score.title for name, score in SCORES.items()},
}


def _one_of(known: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"'{name}' is unknown; use {', '.join(known)}")
        return name

    return check


_LISTED: Any = Field([], max_length=1000)  # each candidate is compared with all of them


IN_WORDS = {
    "recipes": "",
    "strengths": "strength ",
    "snapshots": "snapshot ",
    "tags": "",
    "reasons": "rejected: ",
}


class Filter(BaseModel):
    """Which candidates to show, and in which order; None or an empty list matches all."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    generation: int | None = Field(None, ge=1, le=1_000_000)
    verdict: Verdict | None = None
    recipes: list[str] = _LISTED
    strengths: list[float] = _LISTED
    snapshots: list[int] = _LISTED
    tags: list[str] = _LISTED  # the prompt has all of them
    reasons: list[str] = _LISTED
    score: Annotated[str, AfterValidator(_one_of(SCORES))] | None = None
    least: float | None = None  # of that score
    sort: Annotated[str, AfterValidator(_one_of(SORTS))] = "drawn"

    @property
    def words(self) -> list[str]:
        """What it lets through, a few words each; empty if that is everything."""
        words = [f"generation {self.generation}"] if self.generation is not None else []
        for name, before in IN_WORDS.items():
            words += [
                before + (f"{one:g}" if isinstance(one, float) else str(one)) for one in getattr(self, name)
            ]
        if self.score is not None and self.least is not None:
            words.append(f"{SCORES[self.score].title} ≥ {self.least:g}")
        return words


@dataclass(frozen=True)
class Drawn:
    """What never changes about a candidate: how it was drawn."""

    recipe: str
    strength: float
    snapshot: int
    tags: frozenset[str]
    label: str
    prompt: str


# A cache, because reading ten thousand shots takes a second, and they never change.
_MOST_CACHED = 4  # projects
_cache: "OrderedDict[Path, dict[int, Drawn]]" = OrderedDict()
_lock = threading.Lock()


def drawn(project: Project, catalog: Catalog) -> dict[int, Drawn]:
    """Return how each published candidate of a project was drawn, by its row's id."""
    with _lock:
        known = _cache.pop(project.folder, {})
        rows = published.rows_of(catalog, project.name)
        shots = published.shots_of(catalog, sorted(rows - known.keys()))
        known |= {row: _drawn(shot) for row, shot in shots.items()}
        _cache[project.folder] = {row: known[row] for row in rows}
        while len(_cache) > _MOST_CACHED:
            _cache.popitem(last=False)
        return _cache[project.folder]


def _drawn(shot: Shot) -> Drawn:
    tags = frozenset(tag.casefold() for tag in shot.tags)
    return Drawn(shot.recipe, round(shot.strength, 4), shot.snapshot, tags, short_label(shot), shot.prompt)


def cells(project: Project, catalog: Catalog, criteria: Filter) -> dict[str, Any]:
    """Return the candidates that match a filter, in its order, and how many have each verdict.

    Returns:
        `cells`: [id, verdict, label, strength, prompt] of each.
        `counts`: candidates by verdict, without the filter's own verdict.
    """
    known = drawn(project, catalog)
    rows = passing(project, catalog, criteria)
    counts = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    shown = [row for row in rows if criteria.verdict in (None, row.verdict)]
    shown.sort(key=_order(criteria.sort))
    return {
        "counts": {"all": len(rows), **counts},
        "cells": [
            [row.id, row.verdict, how.label, f"{how.strength:g}", how.prompt]
            for row in shown
            if (how := known[row.row])
        ],
    }


def passing(project: Project, catalog: Catalog, criteria: Filter) -> list[Listed]:
    """Return the candidates that a filter lets through, of any verdict, in no particular order."""
    known = drawn(project, catalog)
    return [
        row
        for row in published.listed(catalog, project.name)
        if row.row in known and _passes(row, known[row.row], criteria)
    ]


def generation_of(project: Project, catalog: Catalog, criteria: Filter) -> int | None:
    """Return the latest generation with undecided candidates that a filter lets through, else with any, else None."""
    rows = passing(project, catalog, criteria)
    waiting = [row for row in rows if row.verdict is Verdict.UNDECIDED]
    return max((row.generation for row in waiting or rows), default=None)


def _passes(row: Listed, how: Drawn, criteria: Filter) -> bool:
    if criteria.generation is not None and row.generation != criteria.generation:
        return False
    if criteria.score is not None and criteria.least is not None:
        value = row.score(criteria.score)
        if value is None or value < criteria.least:
            return False
    return (
        (not criteria.recipes or how.recipe in criteria.recipes)
        and (not criteria.strengths or how.strength in criteria.strengths)
        and (not criteria.snapshots or how.snapshot in criteria.snapshots)
        and (not criteria.reasons or row.reason in criteria.reasons)
        and all(tag.casefold() in how.tags for tag in criteria.tags)
    )


def _order(sort: str) -> Callable[[Listed], Any]:
    if sort == "drawn":
        return lambda row: (row.generation, row.row)
    if sort == "queue":
        return lambda row: (row.generation, row.rank, row.row)
    # The best first, unmeasured ones last.
    return lambda row: (-(value if (value := row.score(sort)) is not None else float("-inf")), row.row)


@dataclass(frozen=True)
class Choices:
    """The values that candidates can be filtered by."""

    generations: list[int]
    recipes: list[str]
    strengths: list[float]
    snapshots: list[int]
    tags: list[str]  # the most frequent first
    reasons: list[str]
    scores: list[str]  # names of the measured ones


def choices(project: Project, catalog: Catalog) -> Choices:
    """Return what the published candidates of a project can be filtered by."""
    how = drawn(project, catalog).values()
    counts: dict[str, int] = {}
    for candidate in how:
        for tag in candidate.tags:
            counts[tag] = counts.get(tag, 0) + 1
    occurring = published.occurring(catalog, project.name)
    return Choices(
        occurring.generations,
        sorted({candidate.recipe for candidate in how}),
        sorted({candidate.strength for candidate in how}),
        sorted({candidate.snapshot for candidate in how}),
        sorted(counts, key=lambda tag: (-counts[tag], tag)),
        occurring.reasons,
        occurring.scores,
    )


def as_query(criteria: Filter) -> str:
    """Return a filter as JSON for a URL."""
    return json.dumps(criteria.model_dump(mode="json", exclude_defaults=True))


def of_query(text: str) -> Filter:
    """Return the filter that `as_query` was called on.

    Raises:
        UserError: it is not valid JSON, or no filter; the message says what is wrong.
    """
    remedy = "choose it anew in the grid"
    return reading.shaped(Filter, reading.parse_json(text, "filter", remedy), "filter", remedy)
