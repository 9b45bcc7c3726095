"""The grid of thumbnails: a small component of our own, so that a click costs no page load."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from bootstrap.catalog.candidates import Candidate
from bootstrap.project import Project
from review_app.components.facts import short_label
from review_app.routes import thumbnail_url

_HERE = Path(__file__).parent


@cache
def _component() -> Any:
    return st.components.v2.component(
        "sid_grid",
        html='<ul class="grid" aria-label="Candidates"></ul>',
        css=(_HERE / "grid.css").read_text("utf-8"),
        js=(_HERE / "grid.js").read_text("utf-8"),
    )


def grid(
    project: Project, shown: Sequence[Candidate], key: str, on_action: Callable[[str, str], None]
) -> None:
    """Put the thumbnails onto the page.

    Args:
        on_action: called before the next run with what was asked for (`open`, `accept` or `reject`) and the
            candidate's id.
    """
    cells = [
        {
            "id": one.id,
            "src": thumbnail_url(project, one.id),
            "verdict": one.verdict,
            "label": short_label(one.shot),
            "prompt": one.shot.prompt,
        }
        for one in shown
    ]

    def changed() -> None:
        action = st.session_state[key].get("action")
        if isinstance(action, dict):
            on_action(str(action.get("do", "")), str(action.get("id", "")))

    _component()(data={"cells": cells}, key=key, on_action_change=changed)
