"""The pages, by name, for links from one to another; and the project that they show."""

from typing import Any

import streamlit as st

_KEY = "sid pages"
_WISH = "sid page asked for"  # (the page where it was asked, the page that was asked for)
_HERE = "sid page shown"
PROJECT = "project"  # in the address and in the session


def remember(pages: dict[str, Any], shown: str) -> None:
    """Keep the pages of this run, and which of them is shown; what was asked for elsewhere is settled then."""
    st.session_state[_KEY], st.session_state[_HERE] = pages, shown
    wish = st.session_state.get(_WISH)
    if wish is not None and wish[0] != shown:
        del st.session_state[_WISH]


def button(name: str, label: str, icon: str, *, primary: bool = True) -> None:
    """Put a button that shows the page of this name, such as `review`."""
    page, here = st.session_state.get(_KEY, {}).get(name), st.session_state.get(_HERE)
    if page is None:
        return
    if st.button(label, key=f"go to {name}", icon=icon, type="primary" if primary else "secondary"):
        ask_for(name)
    # Asked for once more with each rerun until it is shown: the rerun that a page makes by itself each second
    # can come between a click and the other page, and then the click is lost.
    if st.session_state.get(_WISH) == (here, name):
        st.switch_page(page)


def ask_for(name: str) -> None:
    """Show the page of this name with the next run; for callbacks, which cannot change the page themselves."""
    st.session_state[_WISH] = (st.session_state.get(_HERE), name)


def follow() -> None:
    """Go to the page that a callback has asked for, if one has."""
    here, name = st.session_state.get(_HERE), (st.session_state.get(_WISH) or (None, None))[1]
    page = st.session_state.get(_KEY, {}).get(name)
    if page is not None and st.session_state[_WISH] == (here, name):
        st.switch_page(page)


def go(name: str) -> None:
    """Show the page of this name now."""
    page = st.session_state.get(_KEY, {}).get(name)
    if page is not None:
        st.switch_page(page)


def choose_project(name: str) -> None:
    """Show this project from now on; it stands in the address, so it survives a reload and can be a bookmark."""
    st.session_state[PROJECT] = name
    if st.query_params.get(PROJECT) != name:
        st.query_params[PROJECT] = name
