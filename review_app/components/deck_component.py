"""The deck on the page: the Streamlit component in which a key decides without waiting for the server.

This module mounts the component; its code in the browser is deck/*.js, and `review_app.deck_server` answers it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import streamlit as st

from bootstrap.project.projects import Project
from review_app.cells import Filter
from review_app.components import shared_parts
from review_app.urls import alike_url, deck_url, original_url

_MODULES = ("deck/hand.js", "deck/view.js", "deck/keys.js", "deck/deck.js")  # the last one has the export


@cache
def _component() -> Any:
    return shared_parts.component("sid_deck", "deck/deck.html", "deck/deck.css", _MODULES)


def deck(
    project: Project,
    generation: int,
    key: str,
    *,
    reasons: Sequence[str],
    first: Sequence[str],
    only: Filter | None,
    on_all: Callable[[], None],
    on_fix: Callable[[str], None],
) -> bool:
    """Put the deck of a generation onto the page, and return whether all its candidates are decided.

    Args:
        project: whose candidates.
        generation: number of the generation to review.
        key: Streamlit's key of the component.
        reasons: to reject with, up to nine.
        first: ids of candidates to show before all others.
        only: which candidates alone to show; None: all of the generation.
        on_all: called before the next script run if the person wants to see all instead of `only` some.
        on_fix: called before the next script run with the id of the candidate to fix.
    """

    def fix() -> None:
        candidate_id = st.session_state[key].get("fix")
        if isinstance(candidate_id, str):
            on_fix(candidate_id)

    state = _component()(
        data={
            "project": project.name,
            "generation": generation,
            "url": deck_url(project),
            "alike": alike_url(project),
            "original": original_url(project),
            "reasons": list(reasons),
            "first": list(first),
            "only": only.model_dump(mode="json", exclude_defaults=True) if only else None,
            "part": only.words if only else [],
        },
        key=key,
        on_done_change=lambda: None,
        on_fix_change=fix,
        on_all_change=on_all,
    )
    return bool(state.get("done"))
