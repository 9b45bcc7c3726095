"""Review: one picture at a time beside the original; one key decides and shows the next one."""

import streamlit as st

from bootstrap.catalog import candidates, generations
from bootstrap.catalog.candidates import Counts
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app import cells
from review_app.cells import Filter
from review_app.components import markup
from review_app.components.deck_component import deck
from review_app.components.progress import how_far, share
from review_app.deck_server import generation_to_review
from review_app.links import button
from review_app.pages import fix
from review_app.workspace import catalog_of


def show(project: Project) -> None:
    """Show the page."""
    statuses = generations.statuses(catalog_of(project), project.name)
    number = generation_to_review(statuses)
    if number is None:
        _nothing_yet(project, statuses[-1] if statuses else None)
        return
    key = f"generation to review {project.name}"
    only = _only(project)
    reviewable = [status for status in statuses if status.published]
    if only is not None:
        key += " in part"
        number = cells.generation_of(project, catalog_of(project), only) or number
    if len(reviewable) > 1:
        number = _choose(reviewable, number, key)
    _deck(project, number, only)
    fix.progress(project, first_key(project))


def _only(project: Project) -> Filter | None:
    """Return which candidates alone the deck shows, as the address says or the grid has just asked; None: all."""
    asked = st.session_state.pop(only_key(project), None)
    if asked is not None:
        text = cells.as_query(asked.model_copy(update={"sort": "drawn"}))
        if text == "{}":
            st.query_params.pop("only", None)
        else:
            st.query_params["only"] = text
    text = st.query_params.get("only", "")
    if not text:
        return None
    try:
        return cells.of_query(text)
    except UserError as error:
        st.warning(markup.plain(f"All candidates are shown, because the address cannot be read: {error}"))
        return None


def _choose(statuses: list[GenerationStatus], number: int, key: str) -> int:
    labels = {
        status.number: str(status.number) + (f" · {status.undecided} undecided" if status.undecided else "")
        for status in statuses
    }
    chosen = st.sidebar.segmented_control(
        "Generation",
        list(labels),
        default=number,
        required=True,
        format_func=lambda number: labels[number],
        key=key,
        persist_state="session",
    )
    return chosen if chosen is not None else number


@st.fragment
@markup.show_errors()
def _deck(project: Project, number: int, only: Filter | None) -> None:
    is_done = deck(
        project,
        number,
        key=f"deck {project.name} {number}" + (f" {cells.as_query(only)}" if only else ""),
        reasons=reasons(project),
        first=st.session_state.pop(first_key(project), []),
        only=only,
        on_all=_show_all,
        on_fix=fix.ask,
    )
    fix.show(project)
    if is_done and only is not None:
        _part_decided(only)
    elif is_done:
        _all_decided(candidates.counts(catalog_of(project), project.name, number))


def first_key(project: Project) -> str:
    """Return the session's key for the candidates that the deck shows before all others."""
    return f"first in the deck of {project.name}"


def only_key(project: Project) -> str:
    """Return the session's key for the filter of the candidates that the deck alone is to show next."""
    return f"only in the deck of {project.name}"


def reasons(project: Project) -> list[str]:
    """Return the reasons to reject with; none if project.toml cannot be read."""
    try:
        return project.settings.review.reasons
    except UserError:  # verdicts need no settings
        return []


def _show_all() -> None:
    st.query_params.pop("only", None)


def _part_decided(only: Filter) -> None:
    with st.container(border=True, key="all-decided"):
        st.subheader("All of these decided", anchor=False)
        st.write(f"Every candidate with {markup.plain(', '.join(only.words))} has a verdict.")
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Review all others", key="review all", type="primary", on_click=_show_all):
                st.rerun()
            button("grid", "Show all in the grid", ":material/grid_view:", primary=False)


def _all_decided(counts: Counts) -> None:
    with st.container(border=True, key="all-decided"):
        st.subheader("All decided", anchor=False)
        if counts.accepted:
            st.write(
                f"{counts.accepted} of {counts.total} pictures are picks. They join the dataset when it grows, "
                "and the next generation trains on all of them."
            )
        else:
            st.write(
                "None was accepted, so the dataset cannot grow. Review them again, or change recipes or "
                "strengths in project.toml and draw more."
            )
        with st.container(horizontal=True, vertical_alignment="center"):
            button("generations", "Continue with the next generation", ":material/psychiatry:")
            button("grid", "Show all in the grid", ":material/grid_view:", primary=False)


def _nothing_yet(project: Project, latest: GenerationStatus | None) -> None:
    markup.heading(project.name)
    if latest is not None and latest.state.is_running:
        _wait(project)
        return
    with st.container(border=True, key="nothing-yet"):
        st.subheader("Nothing to review yet", anchor=False)
        if latest is not None and latest.state is GenerationState.FAILED:
            st.error(
                f"Generation {latest.number} failed: {markup.plain(latest.message)}", icon=":material/error:"
            )
        else:
            st.write(
                "A generation trains a LoRA on the dataset and draws candidates with it, which appear here."
            )
        button("generations", "Start a generation", ":material/play_arrow:")


@st.fragment(run_every=2)
@markup.show_errors()
def _wait(project: Project) -> None:
    latest = generations.statuses(catalog_of(project), project.name)[-1]
    if not latest.state.is_running:
        st.rerun(scope="app")
    with st.container(border=True, key="nothing-yet"):
        st.subheader(f"Generation {latest.number} is running", anchor=False)
        st.progress(share(latest), markup.plain(how_far(latest)))
        st.write("Its pictures appear here once they are drawn and duplicates are filtered out.")
        button("generations", "Show progress", ":material/monitoring:", primary=False)
