"""What the grid shows: all candidates that a filter lets through, each in a few letters. No Streamlit."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bootstrap.catalog import Catalog, published
from bootstrap.catalog.published import Listed
from bootstrap.catalog.states import Verdict
from bootstrap.project.projects import Project
from bootstrap.shots import Shot
from review_app.cards import SCORES
from review_app.facts import short_label

SORTS = {
    "queue": "Likely picks first",
    "drawn": "As drawn",
    **SCORES,
}


class Filter(BaseModel):
    """Which candidates to show, and in which order; None or an empty list lets all through."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generation: int | None = None
    verdict: Verdict | None = None
    recipes: list[str] = []
    strengths: list[float] = []
    snapshots: list[int] = []
    tags: list[str] = []  # all of them are in the prompt
    reasons: list[str] = []
    score: Literal["quality", "closeness", "novelty", "agreement"] | None = None
    least: float | None = None  # of that score
    sort: Literal["queue", "drawn", "quality", "closeness", "novelty", "agreement"] = "drawn"


@dataclass(frozen=True)
class Drawn:
    """What never changes of a candidate."""

    recipe: str
    strength: float
    snapshot: int
    tags: frozenset[str]
    label: str
    prompt: str


# Reading ten thousand shots takes a second, and they never change: what the grid needs of them is kept.
_MOST_KEPT = 4  # projects
_kept: "OrderedDict[Path, dict[int, Drawn]]" = OrderedDict()
_lock = threading.Lock()


def drawn(project: Project, catalog: Catalog) -> dict[int, Drawn]:
    """Return how each published candidate of a project was drawn, by its row's id."""
    with _lock:
        known = _kept.pop(project.folder, {})
        rows = published.rows_of(catalog, project.name)
        shots = published.shots_of(catalog, sorted(rows - known.keys()))
        known |= {row: _drawn(shot) for row, shot in shots.items()}
        _kept[project.folder] = {row: known[row] for row in rows}
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[project.folder]


def _drawn(shot: Shot) -> Drawn:
    tags = frozenset(tag.casefold() for tag in shot.tags)
    return Drawn(shot.recipe, round(shot.strength, 4), shot.snapshot, tags, short_label(shot), shot.prompt)


def cells(project: Project, catalog: Catalog, asked: Filter) -> dict[str, Any]:
    """Return the candidates that a filter lets through, in its order, and how many there are of each verdict.

    Returns:
        `cells`: [id, verdict, label, strength, prompt] each.
        `counts`: by verdict, whatever the filter says of verdicts.
    """
    known = drawn(project, catalog)
    rows = [
        row
        for row in published.listed(catalog, project.name)
        if row.row in known and _passes(row, known[row.row], asked)
    ]
    counts = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    shown = [row for row in rows if asked.verdict in (None, row.verdict)]
    shown.sort(key=_order(asked.sort))
    return {
        "counts": {"all": len(rows), **counts},
        "cells": [
            [row.id, row.verdict, how.label, f"{how.strength:g}", how.prompt]
            for row in shown
            if (how := known[row.row])
        ],
    }


def _passes(row: Listed, how: Drawn, asked: Filter) -> bool:
    if asked.generation is not None and row.generation != asked.generation:
        return False
    if asked.score is not None and asked.least is not None:
        value = getattr(row, asked.score)
        if value is None or value < asked.least:
            return False
    return (
        (not asked.recipes or how.recipe in asked.recipes)
        and (not asked.strengths or how.strength in asked.strengths)
        and (not asked.snapshots or how.snapshot in asked.snapshots)
        and (not asked.reasons or row.reason in asked.reasons)
        and all(tag.casefold() in how.tags for tag in asked.tags)
    )


def _order(sort: str) -> Callable[[Listed], Any]:
    if sort == "drawn":
        return lambda row: (row.generation, row.row)
    if sort == "queue":
        return lambda row: (row.generation, row.rank, row.row)
    # The best first, those that were not measured last.
    return lambda row: (-(value if (value := getattr(row, sort)) is not None else float("-inf")), row.row)


@dataclass(frozen=True)
class Choices:
    """What there is to filter by."""

    generations: list[int]
    recipes: list[str]
    strengths: list[float]
    snapshots: list[int]
    tags: list[str]  # the frequent ones first
    reasons: list[str]
    scores: list[str]  # that were measured


def choices(project: Project, catalog: Catalog) -> Choices:
    """Return what the published candidates of a project can be filtered by."""
    how = drawn(project, catalog).values()
    often: dict[str, int] = {}
    for one in how:
        for tag in one.tags:
            often[tag] = often.get(tag, 0) + 1
    there = published.occurring(catalog, project.name)
    return Choices(
        there.generations,
        sorted({one.recipe for one in how}),
        sorted({one.strength for one in how}),
        sorted({one.snapshot for one in how}),
        sorted(often, key=lambda tag: (-often[tag], tag)),
        there.reasons,
        there.scores,
    )


def as_query(asked: Filter) -> str:
    """Return a filter as the browser sends it."""
    return json.dumps(asked.model_dump(exclude_defaults=True))
