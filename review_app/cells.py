"""What the grid shows: all candidates that a filter lets through, each in a few letters. No Streamlit."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row, func, select

from bootstrap.catalog import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow
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
    verdict: Literal["undecided", "accept", "reject"] | None = None
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
        with catalog.read() as session:
            published = (
                select(CandidateRow.id)
                .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
                .where(ProjectRow.name == project.name, CandidateRow.state == "published")
            )
            ids = set(session.scalars(published))
            missing = sorted(ids - known.keys())
            for first in range(0, len(missing), 500):
                part = select(CandidateRow.id, CandidateRow.shot).where(
                    CandidateRow.id.in_(missing[first : first + 500])
                )
                known |= {row_id: _drawn(shot) for row_id, shot in session.execute(part)}
        _kept[project.folder] = {row_id: known[row_id] for row_id in ids}
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[project.folder]


def _drawn(data: dict[str, Any]) -> Drawn:
    shot = Shot.from_dict(data)
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
        row for row in _rows(catalog, project.name) if row.id in known and _passes(row, known[row.id], asked)
    ]
    counts = {name: sum(row.verdict == name for row in rows) for name in ("undecided", "accept", "reject")}
    shown = [row for row in rows if asked.verdict in (None, row.verdict)]
    shown.sort(key=_order(asked.sort))
    return {
        "counts": {"all": len(rows), **counts},
        "cells": [
            [row.shot_id, row.verdict, how.label, f"{how.strength:g}", how.prompt]
            for row in shown
            if (how := known[row.id])
        ],
    }


def _rows(catalog: Catalog, project: str) -> list[Row[Any]]:
    """Of each published candidate what can change, as drawn."""
    query = (
        select(
            CandidateRow.id, CandidateRow.shot_id, CandidateRow.verdict, CandidateRow.reason, CandidateRow.rank,
            CandidateRow.quality, CandidateRow.closeness, CandidateRow.novelty, CandidateRow.agreement,
            GenerationRow.number,
        )
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == "published")
        .order_by(GenerationRow.number, CandidateRow.id)
    )  # fmt: skip
    with catalog.read() as session:
        return list(session.execute(query))


def _passes(row: Row[Any], how: Drawn, asked: Filter) -> bool:
    if asked.generation is not None and row.number != asked.generation:
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


def _order(sort: str) -> Callable[[Row[Any]], Any]:
    if sort == "drawn":
        return lambda row: (row.number, row.id)
    if sort == "queue":
        return lambda row: (row.number, row.rank, row.id)
    # The best first, those that were not measured last.
    return lambda row: (-(value if (value := getattr(row, sort)) is not None else float("-inf")), row.id)


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
    published = (
        select(CandidateRow)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project.name, CandidateRow.state == "published")
    )
    with catalog.read() as session:
        numbers = session.scalars(
            published.join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
            .with_only_columns(GenerationRow.number)
            .distinct()
            .order_by(GenerationRow.number)
        ).all()
        reasons = session.scalars(published.with_only_columns(CandidateRow.reason).distinct()).all()
        names = ("quality", "closeness", "novelty", "agreement")
        measured = session.execute(
            published.with_only_columns(*(func.count(getattr(CandidateRow, name)) for name in names))
        ).one()
    return Choices(
        list(numbers),
        sorted({one.recipe for one in how}),
        sorted({one.strength for one in how}),
        sorted({one.snapshot for one in how}),
        sorted(often, key=lambda tag: (-often[tag], tag)),
        sorted(filter(None, reasons)),
        [name for name, count in zip(names, measured, strict=True) if count],
    )


def as_query(asked: Filter) -> str:
    """Return a filter as the browser sends it."""
    return json.dumps(asked.model_dump(exclude_defaults=True))
