"""Grid: all candidates as thumbnails, filtered and paged; a click opens one."""

import streamlit as st

from bootstrap.catalog import candidates, generations
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.project import Project
from review_app import deck
from review_app.components import facts, markup, pair
from review_app.components.grid import grid
from review_app.components.verdict_buttons import verdict_buttons
from review_app.links import button
from review_app.pages.review import caption_of
from review_app.workspace import catalog_of

PAGE_SIZE = 48
_OPENED = "opened in the grid"
_FILTERS = {"all": "All", "undecided": "Undecided", "accept": "Accepted", "reject": "Rejected"}


def show(project: Project) -> None:
    """Show the page."""
    everything = candidates.candidates(catalog_of(project), project.name)
    markup.heading(project.name, f"{len(everything)} candidates" if everything else "")
    if not everything:
        with st.container(border=True, key="nothing-yet"):
            st.subheader("No candidates yet", anchor=False)
            st.write(
                "A generation trains a LoRA on the dataset and draws candidates with it. They appear here."
            )
            button("generations", "Start a generation", ":material/play_arrow:")
        return
    chosen = _filtered(project, everything)
    if not chosen:
        st.info("No candidate is like that.", icon=":material/filter_alt_off:")
        return
    pages = -(-len(chosen) // PAGE_SIZE)
    number = st.session_state.get("grid page", 1) if pages > 1 else 1
    number = min(number, pages)
    first = (number - 1) * PAGE_SIZE

    def act(what: str, candidate_id: str) -> None:
        _act(project, what, candidate_id)

    grid(project, chosen[first : first + PAGE_SIZE], key="grid", on_action=act)
    if pages > 1:
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.pagination(pages, key="grid page", width=420)  # left to itself, it shows one number only
    opened = st.session_state.get(_OPENED)
    if opened and any(one.id == opened for one in everything):
        _open(project, opened)


def _filtered(project: Project, everything: list[Candidate]) -> list[Candidate]:
    numbers = [one.number for one in generations.statuses(catalog_of(project), project.name) if one.published]
    with st.container(horizontal=True, vertical_alignment="center", key="grid-filters"):
        generation = None
        if len(numbers) > 1:
            generation = st.selectbox(
                "Generation",
                [None, *numbers],
                format_func=lambda one: f"Generation {one}" if one else "All generations",
                key="grid generation",
                label_visibility="collapsed",
                width=190,
                persist_state="session",
                filter_mode=None,
            )
        of_generation = [one for one in everything if generation in (None, one.generation)]
        verdict = st.segmented_control(
            "Verdict",
            list(_FILTERS),
            default="all",
            required=True,
            format_func=lambda one: f"{_FILTERS[one]} {len(_with(of_generation, one))}",
            key="grid verdict",
            label_visibility="collapsed",
            persist_state="session",
        )
    return _with(of_generation, verdict)


def _with(some: list[Candidate], verdict: str | None) -> list[Candidate]:
    return [one for one in some if verdict in (None, "all", one.verdict)]


def _act(project: Project, what: str, candidate_id: str) -> None:
    """Do what was asked for in a cell; the same verdict once more takes it back."""
    if what == "open":
        st.session_state[_OPENED] = candidate_id
        return
    catalog = catalog_of(project)
    try:
        seen = candidates.candidate(catalog, project.name, candidate_id).verdict
        if what == seen:
            deck.take_back(catalog, project.name, candidate_id=candidate_id)
        elif what in ("accept", "reject"):
            deck.give(catalog, project.name, candidate_id, what, seen)
    except UserError as error:
        st.toast(markup.plain(str(error)), icon=":material/error:")


def _close() -> None:
    st.session_state.pop(_OPENED, None)


@st.dialog("Candidate", width="large", on_dismiss=_close)
@markup.told()
def _open(project: Project, candidate_id: str) -> None:
    catalog = catalog_of(project)
    one = candidates.candidate(catalog, project.name, candidate_id)

    def decide(chosen: str, verdict: str, seen: str) -> None:
        deck.give(catalog, project.name, chosen, verdict, seen)
        _close()

    def undo() -> None:
        deck.take_back(catalog, project.name, candidate_id=candidate_id)

    markup.show(pair.pair(project, one, f"Generation {one.generation}"))
    verdict_buttons(one, decide, undo, can_undo=one.verdict != "undecided")
    markup.show(facts.tags(one.shot, caption_of(project)), facts.facts(one.shot, one.id))
    if st.session_state.get(_OPENED) is None:
        st.rerun()
