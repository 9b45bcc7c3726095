"""Grid: all candidates as thumbnails, filtered and sorted; one verdict can cover many."""

import streamlit as st

from bootstrap.catalog.scores import SCORES
from bootstrap.project.projects import Project
from review_app import cells
from review_app.cells import Choices, Filter
from review_app.components import going_on, markup
from review_app.components.grid import grid
from review_app.links import ask_for, button, follow
from review_app.pages.review import first_key
from review_app.phases import BUSY, Phase
from review_app.workspace import catalog_of


def show(project: Project) -> None:
    """Show the page."""
    follow()
    count = len(cells.drawn(project, catalog_of(project)))
    markup.heading(project.name, f"{count} candidates" if count else "")
    what = going_on.show(project)
    if not count:
        if what in (*BUSY, Phase.INTERRUPTED, Phase.CANCELLED, Phase.FAILED):
            return
        with st.container(border=True, key="nothing-yet"):
            st.subheader("No candidates yet", anchor=False)
            st.write(
                "A generation trains a LoRA on the dataset and draws candidates with it, which appear here."
            )
            button("generations", "Start a generation", ":material/play_arrow:")
        return
    criteria = _filter(cells.choices(project, catalog_of(project)))

    def review(candidate_id: str) -> None:
        st.session_state[first_key(project)] = [candidate_id]
        ask_for("review")

    grid(project, criteria, key=f"grid {project.name}", on_open=review)


def _filter(available: Choices) -> Filter:
    """Show the filters above the grid, except those with a single option; return what they select."""
    criteria: dict[str, object] = {}
    with st.container(horizontal=True, vertical_alignment="bottom", key="grid-filters"):
        if len(available.generations) > 1:
            criteria["generation"] = st.selectbox(
                "Generation",
                [None, *available.generations],
                format_func=lambda number: f"Generation {number}" if number else "All generations",
                key="grid generation",
                width=170,
                persist_state="session",
                filter_mode=None,
            )
        orders = {
            name: label
            for name, label in cells.SORTS.items()
            if name not in SCORES or name in available.scores
        }
        criteria["sort"] = st.selectbox(
            "Order", list(orders), index=list(orders).index("drawn"), format_func=orders.__getitem__,
            key="grid order", width=190, persist_state="session", filter_mode=None,
        )  # fmt: skip
        with st.popover("Filter", icon=":material/filter_alt:"):
            criteria |= _multiselect("recipes", "Recipe", available.recipes)
            criteria |= _multiselect("strengths", "Strength", available.strengths)
            criteria |= _multiselect("snapshots", "Snapshot", available.snapshots)
            criteria |= _multiselect("tags", "Tags: the prompt has all of these", available.tags)
            criteria |= _multiselect("reasons", "Reject reason", available.reasons)
            if available.scores:
                score = st.selectbox(
                    "Score", [None, *available.scores], format_func=lambda name: SCORES[name].title if name else "any",
                    key="grid score", persist_state="session", filter_mode=None,
                )  # fmt: skip
                if score:
                    least = st.slider("At least", 0.0, 1.0, 0.5, 0.01, key=f"grid least {score}")
                    criteria |= {"score": score, "least": least}
    return Filter.model_validate(criteria)


def _multiselect(name: str, label: str, available: list[str] | list[float] | list[int]) -> dict[str, object]:
    if len(available) < 2:
        return {}
    options = [*available]
    return {
        name: st.multiselect(
            label,
            options,
            format_func=str,
            key=f"grid {name}",
            placeholder="any",
            persist_state="session",
        )
    }
