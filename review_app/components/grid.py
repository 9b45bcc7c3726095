"""The grid of thumbnails: a Streamlit component that keeps only the visible ones in the page."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import streamlit as st

from bootstrap.project.projects import Project
from review_app.cells import Filter, as_query
from review_app.components import shared_parts
from review_app.urls import cells_url, deck_url, original_url, picture_url, thumbnail_url


@cache
def _component() -> Any:
    modules = ("grid/cell.js", "grid/band.js", "grid/grid.js")
    return shared_parts.component("sid_grid", "grid/grid.html", "grid/grid.css", modules)


def grid(
    project: Project,
    criteria: Filter,
    key: str,
    *,
    reasons: Sequence[str],
    verdict: str,
    on_verdict: Callable[[str], None],
    on_open: Callable[[list[str]], None],
) -> None:
    """Put the thumbnails onto the page.

    Args:
        project: whose candidates.
        criteria: which candidates, and in which order.
        key: Streamlit's key of the component.
        reasons: to reject with, up to nine.
        verdict: show candidates with this verdict first of all; another text than a verdict: all.
        on_verdict: called before the next script run with the chosen verdict, or `all`.
        on_open: called before the next script run with the ids of the candidates to show in the deck before all others
            that match the criteria.
    """

    def opened() -> None:
        chosen = st.session_state[key].get("open")
        if isinstance(chosen, list) and all(isinstance(one, str) for one in chosen):
            on_open(chosen)

    def chose_verdict() -> None:
        chosen = st.session_state[key].get("verdict")
        if isinstance(chosen, str):
            on_verdict(chosen)

    _component()(
        data={
            "project": project.name,
            "cells": f"{cells_url(project)}?filter={quote(as_query(criteria))}",
            "deck": deck_url(project),
            "thumbnails": thumbnail_url(project, "").removesuffix(".webp"),
            "pictures": picture_url(project, "").removesuffix(".png"),
            "original": original_url(project),
            "reasons": list(reasons),
            "verdict": verdict,
        },
        key=key,
        on_open_change=opened,
        on_verdict_change=chose_verdict,
    )
