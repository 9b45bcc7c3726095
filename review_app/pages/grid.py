"""Grid: all candidates as thumbnails, filtered and sorted; many can get a verdict at once."""

import streamlit as st

from bootstrap.project.projects import Project
from review_app import cells
from review_app.cards import SCORES
from review_app.cells import Choices, Filter
from review_app.components import markup
from review_app.components.grid import grid
from review_app.links import ask_for, button, follow
from review_app.pages.review import first_key
from review_app.workspace import catalog_of


def show(project: Project) -> None:
    """Show the page."""
    follow()
    count = len(cells.drawn(project, catalog_of(project)))
    markup.heading(project.name, f"{count} candidates" if count else "")
    if not count:
        with st.container(border=True, key="nothing-yet"):
            st.subheader("No candidates yet", anchor=False)
            st.write(
                "A generation trains a LoRA on the dataset and draws candidates with it. They appear here."
            )
            button("generations", "Start a generation", ":material/play_arrow:")
        return
    asked = _filter(cells.choices(project, catalog_of(project)))

    def review(candidate_id: str) -> None:
        st.session_state[first_key(project)] = [candidate_id]
        ask_for("review")

    grid(project, asked, key=f"grid {project.name}", on_open=review)


def _filter(there: Choices) -> Filter:
    """The row above the grid; what leaves no choice is left out."""
    asked: dict[str, object] = {}
    with st.container(horizontal=True, vertical_alignment="bottom", key="grid-filters"):
        if len(there.generations) > 1:
            asked["generation"] = st.selectbox(
                "Generation",
                [None, *there.generations],
                format_func=lambda one: f"Generation {one}" if one else "All generations",
                key="grid generation",
                width=170,
                persist_state="session",
                filter_mode=None,
            )
        orders = {
            name: label for name, label in cells.SORTS.items() if name not in SCORES or name in there.scores
        }
        asked["sort"] = st.selectbox(
            "Order", list(orders), index=list(orders).index("drawn"), format_func=orders.__getitem__,
            key="grid order", width=190, persist_state="session", filter_mode=None,
        )  # fmt: skip
        with st.popover("Filter", icon=":material/filter_alt:"):
            asked |= _chosen("recipes", "Recipe", there.recipes)
            asked |= _chosen("strengths", "Strength", there.strengths)
            asked |= _chosen("snapshots", "Snapshot", there.snapshots)
            asked |= _chosen("tags", "Tags, all of them in the prompt", there.tags)
            asked |= _chosen("reasons", "Rejected because of", there.reasons)
            if there.scores:
                score = st.selectbox(
                    "Score", [None, *there.scores], format_func=lambda one: SCORES[one] if one else "any",
                    key="grid score", persist_state="session", filter_mode=None,
                )  # fmt: skip
                if score:
                    least = st.slider("at least", 0.0, 1.0, 0.5, 0.01, key=f"grid least {score}")
                    asked |= {"score": score, "least": least}
    return Filter.model_validate(asked)


def _chosen(name: str, label: str, there: list[str] | list[float] | list[int]) -> dict[str, object]:
    if len(there) < 2:
        return {}
    options = [*there]
    return {
        name: st.multiselect(
            label,
            options,
            format_func=lambda one: markup.plain(str(one)),
            key=f"grid {name}",
            placeholder="any",
            persist_state="session",
        )
    }
