"""The picks with their captions on the page: a Streamlit component in which a caption is edited in place."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from bootstrap.captions import MOST_CHARACTERS
from bootstrap.catalog.picks import Pick
from bootstrap.project.projects import Project
from review_app.urls import dataset_url, picture_url, thumbnail_url

_HERE = Path(__file__).parent / "captions"


@cache
def _component() -> Any:
    return st.components.v2.component(
        "sid_captions",
        html=(_HERE / "captions.html").read_text("utf-8"),
        css=(_HERE / "captions.css").read_text("utf-8"),
        js=(_HERE / "captions.js").read_text("utf-8"),
    )


def caption_editor(
    project: Project, shown: Sequence[Pick], uses: Mapping[str, int], locked: bool, key: str
) -> Collection[str]:
    """Put picks with their captions onto the page, and return the ids of the chosen ones.

    Changes go to the server by themselves (`review_app.dataset_changes`); after each the page's script runs again.

    Args:
        project: whose picks.
        shown: the picks to show.
        uses: how many captions have a tag, for all tags to suggest, the most frequent first.
        locked: whether a run works on the project, so that no caption may change.
        key: Streamlit's key of the component.
    """
    state = _component()(
        data={
            "picks": [[pick.candidate_id, pick.caption] for pick in shown],
            "uses": [[tag, count] for tag, count in uses.items()],
            "locked": locked,
            "longest": MOST_CHARACTERS,
            "url": dataset_url(project),
            "thumbnails": thumbnail_url(project, "").removesuffix(".webp"),
            "pictures": picture_url(project, "").removesuffix(".png"),
        },
        key=key,
        on_chosen_change=lambda: None,
        on_changed_change=lambda: None,
    )
    chosen = state.get("chosen")
    ids = {pick.candidate_id for pick in shown}
    return [one for one in chosen if one in ids] if isinstance(chosen, list) else []
