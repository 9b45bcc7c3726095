"""A candidate as JSON for the deck: texts and numbers, which the browser inserts as text. No Streamlit."""

from collections.abc import Sequence
from typing import Any

from bootstrap.catalog import Catalog, candidates
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.scores import SCORES
from bootstrap.curation.nearest import nearest_picks
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app.facts import marked_tags, short_label, shot_facts
from review_app.urls import picture_url, thumbnail_url

_MOST_ALIKE = 12  # look-alikes shown for one candidate


def cards(project: Project, catalog: Catalog, shown: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return what the browser needs to show these candidates."""
    if not shown:
        return []
    caption = caption_of(project)
    nearest = nearest_picks(catalog, project.name, shown)
    alike = candidates.hidden_behind(catalog, project.name, [candidate.id for candidate in shown])
    return [
        {
            "id": candidate.id,
            "src": picture_url(project, candidate.id),
            "width": candidate.shot.width,
            "height": candidate.shot.height,
            "verdict": candidate.verdict,
            "reviewer": candidate.reviewer,
            "reason": candidate.reason,
            "prompt": candidate.shot.prompt,
            "label": short_label(candidate.shot),
            "strength": f"{candidate.shot.strength:g}",
            "caption": candidate.edited_caption or "",
            "tags": marked_tags(candidate.shot, caption),
            "facts": [*shot_facts(candidate.shot), ("Id", candidate.id)],
            "scores": _scores(candidate),
            "source": picture_url(project, source) if (source := candidate.shot.mended_from) else "",
            "nearest": picture_url(project, nearest[candidate.id]) if candidate.id in nearest else "",
            "alike": [
                {"id": hidden, "small": thumbnail_url(project, hidden), "src": picture_url(project, hidden)}
                for hidden in alike.get(candidate.id, [])[:_MOST_ALIKE]
            ],
            "alike_count": len(alike.get(candidate.id, [])),
        }
        for candidate in shown
    ]


def caption_of(project: Project) -> list[str]:
    """Return the original's tags; none if project.toml cannot be read, because verdicts need no settings."""
    try:
        return project.settings.project.tags
    except UserError:
        return []


def _scores(candidate: Candidate) -> list[tuple[str, str, str]]:
    """Return the measured scores: name, value and meaning."""
    scores = [
        (score.title, f"{value:.2f}", score.meaning)
        for name, score in SCORES.items()
        if (value := getattr(candidate.scores, name)) is not None
    ]
    flaw = candidate.scores.flaw
    return [*scores, ("Flaw", flaw, "Why curation would not show it for review")] if flaw else scores
