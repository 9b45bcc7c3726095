"""Review: one picture at a time beside the original; one key decides and shows the next."""

from collections.abc import Callable

import streamlit as st

from bootstrap.catalog import generations
from bootstrap.catalog.generations import RUNNING, GenerationStatus
from bootstrap.errors import UserError
from bootstrap.project import Project
from review_app import deck
from review_app.components import facts, markup, pair
from review_app.components.progress import how_far, share
from review_app.components.verdict_buttons import verdict_buttons
from review_app.links import button
from review_app.workspace import catalog_of

_TURN = "turn of the deck"


def show(project: Project) -> None:
    """Show the page."""
    statuses = generations.statuses(catalog_of(project), project.name)
    number = deck.generation_to_review(statuses)
    if number is None:
        _nothing_yet(project, statuses[-1] if statuses else None)
        return
    key = f"generation to review {project.name}"
    shown = [one for one in statuses if one.published]
    if len(shown) > 1:
        number = _choose(shown, number, key)
    _deck(project, number)


def caption_of(project: Project) -> list[str]:
    """Return the original's tags; none when project.toml cannot be read, for verdicts need no settings."""
    try:
        return project.settings.project.tags
    except UserError:
        return []


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
    catalog = catalog_of(project)
    opened_key = f"opened {project.name} {number}"
    dealt = deck.deal(catalog, project.name, number, st.session_state.get(opened_key))

    turn = _next_turn()

    def decide(candidate_id: str, verdict: str, seen: str) -> None:
        if _takes(turn) and deck.give(catalog, project.name, candidate_id, verdict, seen):
            st.session_state.pop(opened_key, None)

    def undo() -> None:
        taken_back = deck.take_back(catalog, project.name, number) if _takes(turn) else None
        if taken_back:
            st.session_state[opened_key] = taken_back  # what was undone is what one wants to see again

    markup.heading(project.name, f"Generation {number}")
    st.progress(dealt.decided / dealt.total, _progress_text(dealt))
    if dealt.current is None:
        _all_decided(project, dealt, undo)
        return
    markup.show(pair.pair(project, dealt.current, f"Candidate {dealt.position} of {dealt.total}"))
    verdict_buttons(dealt.current, decide, undo, can_undo=dealt.decided > 0)
    if dealt.current.verdict != "undecided":
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button("Leave it so and go on", key="leave", shortcut="Space", type="tertiary",
                      on_click=lambda: st.session_state.pop(opened_key, None))  # fmt: skip
    markup.show(
        facts.tags(dealt.current.shot, caption_of(project)),
        facts.facts(dealt.current.shot, dealt.current.id),
        pair.preload(project, dealt.upcoming),
    )


# While a rerun is on its way, the buttons from before it still take keys beside the new ones, and one press
# reaches both. So each run of the deck is a turn, of which the first press counts and no other one, or else
# one Undo would take back two verdicts.


def _next_turn() -> int:
    turn: int = st.session_state.get(_TURN, 0) + 1
    st.session_state[_TURN] = turn
    return turn


def _takes(turn: int) -> bool:
    if st.session_state[_TURN] != turn:
        return False
    st.session_state[_TURN] = turn + 1
    return True


def _progress_text(dealt: deck.Deck) -> str:
    return f"{dealt.decided} of {dealt.total} decided · {dealt.accepted} accepted · {dealt.rejected} rejected"


def _all_decided(project: Project, dealt: deck.Deck, undo: Callable[[], None]) -> None:
    with st.container(border=True, key="all-decided"):
        st.subheader("All decided", anchor=False)
        if dealt.accepted:
            st.write(
                f"{dealt.accepted} of {dealt.total} pictures are picks. They join the dataset when it grows, "
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
            st.button(
                "Undo", key="undo-last", icon=":material/undo:", shortcut="U", type="tertiary", on_click=undo
            )


def _nothing_yet(project: Project, latest: GenerationStatus | None) -> None:
    markup.heading(project.name)
    if latest is not None and latest.state in RUNNING:
        _wait(project)
        return
    with st.container(border=True, key="nothing-yet"):
        st.subheader("Nothing to review yet", anchor=False)
        if latest is not None and latest.state == "failed":
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
    if latest.state not in RUNNING:
        st.rerun(scope="app")
    with st.container(border=True, key="nothing-yet"):
        st.subheader(f"Generation {latest.number} is on its way", anchor=False)
        st.progress(share(latest), markup.plain(how_far(latest)))
        st.write("Its pictures appear here as soon as they are drawn and sorted.")
        button("generations", "See its progress", ":material/monitoring:", primary=False)
