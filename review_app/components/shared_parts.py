"""What the deck and the grid share in the browser: the keys of the page, unsent acts, the zoom (shared/)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_SHARED = ("shared/remembered.js", "shared/outbox.js", "shared/page_keys.js", "shared/zoom.js")
_ZOOM = "<!-- zoom -->"  # where it goes in a component's HTML


def component(name: str, html: str, css: str, modules: Sequence[str]) -> Any:
    """Return a Streamlit component made of these files and the shared ones.

    Args:
        name: Streamlit's name for it.
        html: path of its markup, below this folder.
        css: path of its style sheet.
        modules: paths of its scripts, joined with the shared ones into one ES module; the last one has the export.
    """
    return st.components.v2.component(
        name,
        html=_text(html).replace(_ZOOM, _text("shared/zoom.html")),
        css=_text("shared/zoom.css") + _text(css),
        js="\n".join(_text(path) for path in (*_SHARED, *modules)),
    )


def _text(path: str) -> str:
    return (_HERE / path).read_text("utf-8")
