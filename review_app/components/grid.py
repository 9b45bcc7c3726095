"""The grid of thumbnails: a Streamlit component that keeps only the visible ones in the page."""

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

import streamlit as st

from bootstrap.project.projects import Project
from review_app.cells import Filter, as_query
from review_app.components import shared_parts
from review_app.urls import cells_url, deck_url, picture_url, thumbnail_url


@cache
def _component() -> Any:
    return shared_parts.component("sid_grid", "grid/grid.html", "grid/grid.css", ("grid/grid.js",))


def grid(project: Project, criteria: Filter, key: str, on_open: Callable[[str], None]) -> None:
    """Put the thumbnails onto the page.

    Args:
        project: whose candidates.
        criteria: which candidates, and in which order.
        key: Streamlit's key of the component.
        on_open: called before the next script run with the id of the candidate to show in the deck.
    """

    def opened() -> None:
        chosen = st.session_state[key].get("open")
        if isinstance(chosen, str):
            on_open(chosen)

    _component()(
        data={
            "project": project.name,
            "cells": f"{cells_url(project)}?filter={quote(as_query(criteria))}",
            "deck": deck_url(project),
            "thumbnails": thumbnail_url(project, "").removesuffix(".webp"),
            "pictures": picture_url(project, "").removesuffix(".png"),
        },
        key=key,
        on_open_change=opened,
    )
