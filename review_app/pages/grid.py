"""Grid: all candidates as thumbnails, filtered and sorted; one verdict can cover many."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from bootstrap.catalog.scores import SCORES
from bootstrap.project.projects import Project
from review_app import cells
from review_app.cells import Choices, Filter
from review_app.components import going_on, markup
from review_app.components.grid import grid
from review_app.links import ask_for, button, follow
from review_app.pages.review import first_key, only_key, reasons
from review_app.phases import BUSY, Phase
from review_app.workspace import catalog_of

# The names of the address's parameters, so that a reload or a bookmark keeps the filter. Streamlit could bind widgets
# to parameters itself, but with one that is bound, `st.switch_page` fails ("Cannot clear query parameters", 1.67).
_ONE = ("generation", "sort", "score", "least")
_MANY = {
    "recipes": "Recipe",
    "strengths": "Strength",
    "snapshots": "Snapshot",
    "tags": "Tags: the prompt has all of these",
    "reasons": "Reject reason",
}


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
    _chips(criteria)

    def review(candidate_ids: list[str]) -> None:
        st.session_state[first_key(project)] = candidate_ids
        st.session_state[only_key(project)] = criteria
        ask_for("review")

    grid(
        project,
        criteria,
        key=f"grid {project.name}",
        reasons=reasons(project),
        verdict=st.query_params.get("verdict", ""),
        on_verdict=_keep_verdict,
        on_open=review,
    )


def _keep_verdict(verdict: str) -> None:
    if verdict == "all":
        st.query_params.pop("verdict", None)
    else:
        st.query_params["verdict"] = verdict


def _filter(available: Choices) -> Filter:
    """Show the filters above the grid, except those with a single option; return what they select."""
    criteria: dict[str, object] = {}
    with st.container(horizontal=True, vertical_alignment="bottom", key="grid-filters"):
        if len(available.generations) > 1:
            criteria["generation"] = st.selectbox(
                "Generation", [None, *available.generations],
                format_func=lambda number: f"Generation {number}" if number else "All generations",
                key=_from_address("generation", available.generations), width=170, persist_state="session",
                filter_mode=None,
            )  # fmt: skip
        orders = {
            name: label
            for name, label in cells.SORTS.items()
            if name not in SCORES or name in available.scores
        }
        criteria["sort"] = st.selectbox(
            "Order", list(orders), format_func=orders.__getitem__, key=_from_address("sort", list(orders), "drawn"),
            width=190, persist_state="session", filter_mode=None,
        )  # fmt: skip
        with st.popover("Filter", icon=":material/filter_alt:"):
            for name, label in _MANY.items():
                criteria |= _multiselect(name, label, getattr(available, name))
            if available.scores:
                score = st.selectbox(
                    "Score", [None, *available.scores], format_func=lambda name: SCORES[name].title if name else "any",
                    key=_from_address("score", available.scores), persist_state="session", filter_mode=None,
                )  # fmt: skip
                if score:
                    hundredths = [number / 100 for number in range(101)]
                    least = st.select_slider(
                        "At least", hundredths, key=_from_address("least", hundredths, 0.5)
                    )
                    criteria |= {"score": score, "least": least}
    chosen = Filter.model_validate(criteria)
    _to_address(chosen)
    return chosen


def _multiselect(name: str, label: str, available: list[str] | list[float] | list[int]) -> dict[str, object]:
    if len(available) < 2:
        return {}
    options: list[Any] = [*available]
    return {
        name: st.multiselect(
            label,
            options,
            format_func=str,  # these are no Markdown
            key=_from_address(name, options, many=True),
            placeholder="any",
            persist_state="session",
        )
    }


def _key(name: str) -> str:
    return f"grid {name}"


def _from_address(name: str, options: Sequence[Any], usual: Any = None, *, many: bool = False) -> str:
    """Return a widget's key; if the session has no value for it yet, set the one in the address, else the usual one."""
    key = _key(name)
    if key not in st.session_state:
        by_text = {str(option): option for option in options}
        known = [by_text[text] for text in st.query_params.get_all(name) if text in by_text]
        if known or usual is not None:
            st.session_state[key] = known if many else [*known, usual][0]
    return key


def _to_address(chosen: Filter) -> None:
    values = chosen.model_dump(mode="json", exclude_defaults=True)
    for name in (*_ONE, *_MANY):
        value = values.get(name)
        texts = [] if value is None else [str(one) for one in (value if isinstance(value, list) else [value])]
        if texts != st.query_params.get_all(name):
            if texts:
                st.query_params[name] = texts
            else:
                del st.query_params[name]


def _chips(criteria: Filter) -> None:
    """Show what the filter lets through, a button each that takes it off again."""
    chips: list[tuple[str, Callable[[], None]]] = []
    if criteria.generation is not None:
        chips.append((f"generation {criteria.generation}", lambda: _set("generation", None)))
    for name, before in cells.IN_WORDS.items():
        for value in getattr(criteria, name):
            shown = f"{value:g}" if isinstance(value, float) else value
            chips.append((f"{before}{shown}", _taking_off(name, value)))
    if criteria.score is not None:
        least = f"{SCORES[criteria.score].title} ≥ {criteria.least:g}"
        chips.append((least, lambda: _set("score", None)))
    if not chips:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="grid-chips"):
        for number, (label, take_off) in enumerate(chips):
            st.button(
                markup.plain(label), key=f"chip {number}", icon=":material/close:", icon_position="right",
                help="Take this filter off", on_click=take_off,
            )  # fmt: skip
        if len(chips) > 1:
            st.button("Show all", key="no filter", type="tertiary", on_click=_take_all_off)


def _taking_off(name: str, value: object) -> Callable[[], None]:
    return lambda: _set(name, [kept for kept in st.session_state[_key(name)] if kept != value])


def _take_all_off() -> None:
    for name in _MANY:
        if _key(name) in st.session_state:
            _set(name, [])
    for name in ("generation", "score"):
        if _key(name) in st.session_state:
            _set(name, None)


def _set(name: str, value: object) -> None:
    st.session_state[_key(name)] = value
