"""A candidate as the browser shows it: plain texts and numbers, which are put in as text there. No Streamlit."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from bootstrap.catalog import Catalog
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.tables import CandidateRow, ProjectRow
from bootstrap.curation.nearest import nearest_picks
from bootstrap.errors import UserError
from bootstrap.project import Project
from review_app.components.facts import marked_tags, short_label, shot_facts
from review_app.urls import picture_url, thumbnail_url

_MOST_ALIKE = 12  # look-alikes that are shown of one candidate


def cards(project: Project, catalog: Catalog, some: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return what the browser has to know of these candidates."""
    if not some:
        return []
    caption = caption_of(project)
    nearest = nearest_picks(catalog, project.name, some)
    alike = _look_alikes(catalog, project.name, [one.id for one in some])
    return [
        {
            "id": one.id,
            "src": picture_url(project, one.id),
            "width": one.shot.width,
            "height": one.shot.height,
            "verdict": one.verdict,
            "reviewer": one.reviewer,
            "reason": one.reason,
            "prompt": one.shot.prompt,
            "label": short_label(one.shot),
            "caption": one.edited_caption or "",
            "tags": marked_tags(one.shot, caption),
            "facts": [*shot_facts(one.shot), ("Id", one.id)],
            "scores": _scores(one),
            "nearest": picture_url(project, nearest[one.id]) if one.id in nearest else "",
            "alike": [thumbnail_url(project, other) for other in alike.get(one.id, [])[:_MOST_ALIKE]],
            "alike_count": len(alike.get(one.id, [])),
        }
        for one in some
    ]


def caption_of(project: Project) -> list[str]:
    """Return the original's tags; none when project.toml cannot be read, for verdicts need no settings."""
    try:
        return project.settings.project.tags
    except UserError:
        return []


def _scores(one: Candidate) -> list[tuple[str, str]]:
    scores = [
        ("Quality", one.scores.quality),
        ("Closeness to the original", one.scores.closeness),
        ("Novelty", one.scores.novelty),
        ("Tags that came out", one.scores.agreement),
    ]
    told = [(name, f"{value:.2f}") for name, value in scores if value is not None]
    return [*told, ("Flaw", one.scores.flaw)] if one.scores.flaw else told


def _look_alikes(catalog: Catalog, project: str, ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the duplicates that are hidden behind each of these."""
    query = (
        select(CandidateRow.duplicate_of, CandidateRow.shot_id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.state == "duplicate")
        .where(CandidateRow.duplicate_of.in_(list(ids)))
        .order_by(CandidateRow.id)
    )
    found: dict[str, list[str]] = {}
    with catalog.read() as session:
        for shown, hidden in session.execute(query):
            found.setdefault(str(shown), []).append(hidden)
    return found
