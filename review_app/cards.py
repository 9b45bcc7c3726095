"""A candidate as the browser shows it: plain texts and numbers, which are put in as text there. No Streamlit."""

from collections.abc import Sequence
from typing import Any

from bootstrap.catalog import Catalog, candidates
from bootstrap.catalog.candidates import Candidate
from bootstrap.curation.nearest import nearest_picks
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app.facts import marked_tags, short_label, shot_facts
from review_app.urls import picture_url, thumbnail_url

SCORES = {
    "quality": "Quality",
    "closeness": "Closeness",
    "novelty": "Novelty",
    "agreement": "Prompt match",
}
MEANINGS = {
    "quality": "How free of noise, blur and burnt colours it is: 0 to 1",
    "closeness": "How much it looks like the original: 1 is the same picture",
    "novelty": "How much it differs from all pictures of the dataset: 0 shows nothing new",
    "agreement": "Share of the prompt's tags that the tagger sees in it: 0 to 1",
}
_MOST_ALIKE = 12  # look-alikes that are shown of one candidate


def cards(project: Project, catalog: Catalog, some: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return what the browser has to know of these candidates."""
    if not some:
        return []
    caption = caption_of(project)
    nearest = nearest_picks(catalog, project.name, some)
    alike = candidates.hidden_behind(catalog, project.name, [one.id for one in some])
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
            "strength": f"{one.shot.strength:g}",
            "caption": one.edited_caption or "",
            "tags": marked_tags(one.shot, caption),
            "facts": [*shot_facts(one.shot), ("Id", one.id)],
            "scores": _scores(one),
            "nearest": picture_url(project, nearest[one.id]) if one.id in nearest else "",
            "alike": [
                {"id": other, "small": thumbnail_url(project, other), "src": picture_url(project, other)}
                for other in alike.get(one.id, [])[:_MOST_ALIKE]
            ],
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


def _scores(one: Candidate) -> list[tuple[str, str, str]]:
    """The scores that were measured: name, value, and what it means."""
    told = [
        (SCORES[name], f"{value:.2f}", MEANINGS[name])
        for name in SCORES
        if (value := getattr(one.scores, name)) is not None
    ]
    return [*told, ("Flaw", one.scores.flaw, "Why it would not be put up")] if one.scores.flaw else told
