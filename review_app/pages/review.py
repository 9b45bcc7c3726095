"""Review: one picture at a time beside the original; one key decides and shows the next."""

import streamlit as st

from bootstrap.catalog import candidates, generations
from bootstrap.catalog.candidates import Counts
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app.components import markup
from review_app.components.deck import deck
from review_app.components.progress import how_far, share
from review_app.deck import generation_to_review
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
    shown = [one for one in statuses if one.published]
    if len(shown) > 1:
        number = _choose(shown, number, key)
    _deck(project, number)
    fix.progress(project, first_key(project))


def _choose(shown: list[GenerationStatus], number: int, key: str) -> int:
    labels = {
        one.number: str(one.number) + (f" · {one.undecided} to review" if one.undecided else "")
        for one in shown
    }
    chosen = st.sidebar.segmented_control(
        "Generation",
        list(labels),
        default=number,
        required=True,
        format_func=lambda one: labels[one],
        key=key,
        persist_state="session",
    )
    return chosen if chosen is not None else number


@st.fragment
@markup.told()
def _deck(project: Project, number: int) -> None:
    is_done = deck(
        project,
        number,
        key=f"deck {project.name} {number}",
        reasons=_reasons(project),
        first=st.session_state.pop(first_key(project), []),
        on_fix=fix.ask,
    )
    fix.show(project)
    if is_done:
        _all_decided(candidates.counts(catalog_of(project), project.name, number))


def first_key(project: Project) -> str:
    """Under which the session keeps the candidates that the deck shall show before all others."""
    return f"first in the deck of {project.name}"


def _reasons(project: Project) -> list[str]:
    try:
        return project.settings.review.reasons
    except UserError:  # verdicts need no settings
        return []


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
                "None was accepted, so the dataset has nothing to grow by. Look again, or change recipes or "
                "strengths in project.toml and draw more."
            )
        with st.container(horizontal=True, vertical_alignment="center"):
            button("generations", "Go on to the next generation", ":material/psychiatry:")
            button("grid", "Look at all in the grid", ":material/grid_view:", primary=False)


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
                "A generation trains a LoRA on the dataset and draws candidates with it. They appear here."
            )
        button("generations", "Start a generation", ":material/play_arrow:")


@st.fragment(run_every=2)
@markup.told()
def _wait(project: Project) -> None:
    latest = generations.statuses(catalog_of(project), project.name)[-1]
    if not latest.state.is_running:
        st.rerun(scope="app")
    with st.container(border=True, key="nothing-yet"):
        st.subheader(f"Generation {latest.number} is on its way", anchor=False)
        st.progress(share(latest), markup.plain(how_far(latest)))
        st.write("Its pictures appear here as soon as they are drawn and sorted.")
        button("generations", "See its progress", ":material/monitoring:", primary=False)
