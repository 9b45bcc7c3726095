"""Links from page to page by name, and the project that the pages show."""

from typing import Any

import streamlit as st

_KEY = "sid pages"
_REQUEST = "sid page asked for"  # (the page that requested it, the requested page)
_HERE = "sid page shown"
PROJECT = "project"  # in the address and in the session


def remember(pages: dict[str, Any], shown: str) -> None:
    """Store the pages of this script run and which one is shown; drop a request that another page made."""
    st.session_state[_KEY], st.session_state[_HERE] = pages, shown
    request = st.session_state.get(_REQUEST)
    if request is not None and request[0] != shown:
        del st.session_state[_REQUEST]


def button(name: str, label: str, icon: str, *, primary: bool = True) -> None:
    """Show a button that leads to the page of this name, such as `review`."""
    page, here = st.session_state.get(_KEY, {}).get(name), st.session_state.get(_HERE)
    if page is None:
        return
    if st.button(label, key=f"go to {name}", icon=icon, type="primary" if primary else "secondary"):
        ask_for(name)
    # Each rerun repeats the request until the page is shown: a page that reruns itself every second may do so
    # between the click and the switch, and then the click would be lost.
    if st.session_state.get(_REQUEST) == (here, name):
        st.switch_page(page)


def ask_for(name: str) -> None:
    """Request the page of this name for the next script run; for callbacks, which cannot switch pages themselves."""
    st.session_state[_REQUEST] = (st.session_state.get(_HERE), name)


def follow() -> None:
    """Switch to the page that a callback has requested, if any."""
    here, name = st.session_state.get(_HERE), (st.session_state.get(_REQUEST) or (None, None))[1]
    page = st.session_state.get(_KEY, {}).get(name)
    if page is not None and st.session_state[_REQUEST] == (here, name):
        st.switch_page(page)


def go(name: str) -> None:
    """Show the page of this name now."""
    page = st.session_state.get(_KEY, {}).get(name)
    if page is not None:
        st.switch_page(page)


def choose_project(name: str) -> None:
    """Show this project from now on; its name is in the address, so it survives a reload and can be bookmarked."""
    st.session_state[PROJECT] = name
    if st.query_params.get(PROJECT) != name:
        st.query_params[PROJECT] = name
