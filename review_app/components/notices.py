"""Notices of the browser: that a generation is published, and that a tab has settings that are not saved."""

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from review_app import drafts

_HERE = Path(__file__).parent / "notices"


@cache
def _component() -> Any:
    return st.components.v2.component(
        "sid_notices",
        html=(_HERE / "notices.html").read_text("utf-8"),
        css=(_HERE / "notices.css").read_text("utf-8"),
        js=(_HERE / "notices.js").read_text("utf-8"),
    )


def follow() -> None:
    """Put what follows all generations into the sidebar, with the switch for notifications."""
    with st.sidebar:
        _component()(data={"unsaved": drafts.any_project()}, key="notices")
