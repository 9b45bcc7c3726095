"""The pages, by name, for links from one to another."""

from typing import Any

import streamlit as st

_KEY = "sid pages"


def remember(pages: dict[str, Any]) -> None:
    """Keep the pages of this run."""
    st.session_state[_KEY] = pages


def button(name: str, label: str, icon: str, *, primary: bool = True) -> None:
    """Put a button that shows the page `review`, `grid` or `generations`."""
    page = st.session_state.get(_KEY, {}).get(name)
    if page is not None and st.button(
        label, key=f"go to {name}", icon=icon, type="primary" if primary else "secondary"
    ):
        st.switch_page(page)
