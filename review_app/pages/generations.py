"""Generations: buttons to start and cancel a generation, the progress of a running one, and the project's history."""

import secrets
from collections.abc import Sequence

import streamlit as st

from bootstrap.catalog import accept_rates, generations, sheets
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import COUNTED
from bootstrap.dataset import growth
from bootstrap.errors import UserError, as_machine_errors
from bootstrap.loop import work_left
from bootstrap.project.projects import Project
from review_app import starting
from review_app.components import charts, going_on, markup
from review_app.components.progress import how_far, share, station, stations
from review_app.links import button
from review_app.pages import new_sheet
from review_app.phases import BUSY, Phase, phase
from review_app.routes import drawn_sheet_url, sheet_path, sheet_url
from review_app.workspace import catalog_of

_TOKEN = "start token"
_PROBLEM = "start problem"
_CANCELLED = "run cancelled"  # by this person, and not ended yet
_END_SECONDS = 20  # after publishing its candidates, a run still has to end in Prefect


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Generations")
    statuses = generations.statuses(catalog_of(project), project.name)
    busy = phase(project, statuses, starting.latest(project))[0] in BUSY
    # An idle page refreshes rarely: a click during such a rerun can be lost.
    st.fragment(_now, run_every=1 if busy else 10)(project, busy)
    _accept_rates(project)
    new_sheet.show(project, statuses)


@markup.show_errors()
def _now(project: Project, looks_often: bool) -> None:
    statuses = generations.statuses(catalog_of(project), project.name)
    what, why = phase(project, statuses, starting.latest(project))
    if (what in BUSY) != looks_often:
        st.rerun(scope="app")
    if what not in BUSY:
        st.session_state.pop(f"{_CANCELLED} {project.name}", None)
    with st.container(border=True, key="now"):
        _PANELS[what](project, statuses, why)
        problem = st.session_state.get(f"{_PROBLEM} {project.name}")
        if problem:
            st.error(markup.plain(problem), icon=":material/error:")
    if what is not Phase.STARTING:
        _history(project, statuses)


# ---- the project's state, and the buttons that fit it


def _new(project: Project, _: Sequence[GenerationStatus], __: str) -> None:
    training, recipes = project.settings.training, project.settings.recipe
    steps = training.epochs * -(-training.repeats // training.train_batch_size)
    st.subheader("Ready for the first generation", anchor=False)
    st.write(
        f"The generation trains a LoRA on the original ({steps} steps), draws "
        f"{sum(recipe.count for recipe in recipes)} candidates with it and filters out duplicates."
    )
    _start_button(project, "Start a generation", ":material/play_arrow:")


def _starting(project: Project, _: Sequence[GenerationStatus], __: str) -> None:
    st.subheader("Starting", anchor=False)
    st.progress(0.0, "The first progress report takes a few seconds")
    _cancel_button(project)


def _running(project: Project, statuses: Sequence[GenerationStatus], _: str) -> None:
    latest = statuses[-1]
    st.subheader(f"Generation {latest.number}", anchor=False)
    markup.show(stations(latest.state))
    st.progress(share(latest), markup.plain(how_far(latest)))
    if latest.message:
        st.caption(markup.plain(latest.message))
    _cancel_button(project)
    _log(project)


def _interrupted(project: Project, statuses: Sequence[GenerationStatus], _: str) -> None:
    latest = statuses[-1]
    st.subheader(f"Generation {latest.number} was interrupted", anchor=False)
    st.write(f"{station(latest.state)} ended with its process. Nothing is lost; it goes on from there.")
    _start_button(project, "Continue", ":material/play_arrow:")
    _log(project)


def _cancelled(project: Project, statuses: Sequence[GenerationStatus], why: str) -> None:
    st.subheader(f"Generation {statuses[-1].number} was cancelled", anchor=False)
    st.write(f"{markup.plain(why[:1].upper() + why[1:])}. Finished work is kept." if why else "")
    _start_button(project, "Continue", ":material/play_arrow:")
    _log(project)


def _failed(project: Project, statuses: Sequence[GenerationStatus], why: str) -> None:
    st.subheader(
        f"Generation {statuses[-1].number} failed" if statuses else "The generation did not start",
        anchor=False,
    )
    st.error(markup.plain(why), icon=":material/error:")
    _start_button(project, "Try again", ":material/refresh:")
    _log(project)


def _review(project: Project, statuses: Sequence[GenerationStatus], _: str) -> None:
    latest = statuses[-1]
    st.subheader(f"Generation {latest.number} · {station(latest.state)}", anchor=False)
    st.write(_decided(latest))
    with st.container(horizontal=True):
        if latest.undecided:
            button("review", "Review", ":material/playing_cards:")
        st.button(
            "Grow and start the next generation",
            key="grow",
            icon=":material/psychiatry:",
            type="secondary" if latest.undecided else "primary",
            on_click=_grow,
            args=(project,),
            disabled=not latest.accepted,
            help="Adds the picks to the dataset, which the next generation trains on."
            if latest.accepted
            else "Accept pictures first: they are what the dataset grows by.",
        )
        st.button(
            "Draw missing shots",
            key="start",
            icon=":material/brush:",
            type="tertiary",
            on_click=_draw_missing,
            args=(project,),
            help="Runs this generation again to draw shots that project.toml asks for and that do not exist yet.",
        )
        st.button(
            "Draw more",
            key="draw more",
            icon=":material/add_to_photos:",
            type="tertiary",
            on_click=_start,
            args=(project, True),
            help="Draws as many candidates again with the same LoRA, recipes and other seeds.",
        )


def _grown(project: Project, statuses: Sequence[GenerationStatus], _: str) -> None:
    st.subheader(f"Ready for generation {statuses[-1].number + 1}", anchor=False)
    st.write("The picks have joined the dataset. The next generation trains on all of it.")
    latest = statuses[-1]
    if latest.undecided:
        st.write(f"Generation {latest.number}: {_decided(latest)}")
    with st.container(horizontal=True):
        _start_button(project, "Start a generation", ":material/play_arrow:")
        if latest.undecided:
            button("review", "Review", ":material/playing_cards:", primary=False)


def _decided(status: GenerationStatus) -> str:
    """Return how many of a generation's published pictures are decided."""
    if status.undecided:
        return f"{status.undecided} of {status.published} pictures are undecided."
    return f"All {status.published} pictures are decided: {status.accepted} accepted, {status.rejected} rejected."


_PANELS = {
    Phase.NEW: _new,
    Phase.STARTING: _starting,
    Phase.RUNNING: _running,
    Phase.INTERRUPTED: _interrupted,
    Phase.CANCELLED: _cancelled,
    Phase.FAILED: _failed,
    Phase.REVIEW: _review,
    Phase.GROWN: _grown,
}


def _start_button(project: Project, label: str, icon: str) -> None:
    st.button(label, key="start", icon=icon, type="primary", on_click=_start, args=(project,))


def _cancel_button(project: Project) -> None:
    is_cancelled = st.session_state.get(f"{_CANCELLED} {project.name}", False)
    st.button(
        "Cancelling" if is_cancelled else "Cancel", key="cancel", icon=":material/stop:", on_click=_cancel,
        args=(project,), disabled=is_cancelled,
        help="The run stops between two steps. Finished work is kept, and the generation can be resumed.",
    )  # fmt: skip


def _log(project: Project) -> None:
    # A toggle, not an expander: a closed expander would still fetch the log every second.
    if st.toggle("Log of the run", key=f"log of {project.name}"):
        st.code(starting.log(project) or "Nothing yet.", language=None, height=260, wrap_lines=True)


# ---- the buttons


def _start(project: Project, more: bool = False) -> None:
    problem = f"{_PROBLEM} {project.name}"
    token = st.session_state.setdefault(_TOKEN, secrets.token_hex(8))
    try:
        with as_machine_errors():
            statuses = generations.statuses(catalog_of(project), project.name)
            busy = phase(project, statuses, starting.latest(project))[0] in BUSY
            starting.start(project, token, patience=0.0 if busy else _END_SECONDS, more=more)
        st.session_state.pop(problem, None)
    except UserError as error:
        st.session_state[problem] = str(error)
    st.session_state.pop(_TOKEN, None)


def _draw_missing(project: Project) -> None:
    """Start a run, unless it would find nothing to do: then say so at once."""
    try:
        with as_machine_errors():
            complete = work_left.nothing_is_missing(project, catalog_of(project))
    except UserError:
        complete = False  # the run reports it
    if complete:
        st.toast(markup.plain(work_left.NOTHING), icon=":material/check:")
    else:
        _start(project)


def _cancel(project: Project) -> None:
    try:
        with as_machine_errors():
            starting.cancel(project)
        st.session_state[f"{_CANCELLED} {project.name}"] = True
        st.session_state.pop(f"{_PROBLEM} {project.name}", None)
    except UserError as error:
        st.session_state[f"{_PROBLEM} {project.name}"] = str(error)


def _grow(project: Project) -> None:
    try:
        with as_machine_errors():
            growth.grow(project, catalog_of(project))
    except UserError as error:
        st.session_state[f"{_PROBLEM} {project.name}"] = str(error)
        return
    _start(project)


# ---- history


def _history(project: Project, statuses: Sequence[GenerationStatus]) -> None:
    drawn = sheets.of_project(catalog_of(project), project.name)
    for status in reversed(statuses):
        if not status.candidates:  # nothing to show yet
            continue
        with st.container(key=f"generation-{status.number}"):
            st.subheader(f"Generation {status.number} · {station(status.state)}", anchor=False)
            markup.show(_counts(status))
            if not status.state.is_up_for_review:
                going_on.strip(project, status)
            if status.published and sheet_path(project, status.number).is_file():
                _sheet(
                    "Contact sheet",
                    sheet_url(project, status.number),
                    f"Contact sheet of generation {status.number}",
                )
            for sheet in drawn:
                if sheet.generation == status.number and (project.folder / sheet.path).is_file():
                    _sheet(
                        f"Sheet, {markup.plain(sheet.title)}", drawn_sheet_url(project, sheet), sheet.title
                    )


def _sheet(title: str, url: str, what: str) -> None:
    with st.expander(title):
        markup.show(markup.element("img", src=url, class_="sid-sheet", loading="lazy", alt=what))


def _accept_rates(project: Project) -> None:
    rates = accept_rates.of_project(catalog_of(project), project.name)
    if not rates:
        return
    st.subheader("What was accepted", anchor=False)
    accepted, decided = sum(rate.accepted for rate in rates), sum(rate.decided for rate in rates)
    st.caption(f"{accepted} of {decided} decided pictures, {100 * accepted / decided:.0f} %")
    several = len({rate.generation for rate in rates}) > 1
    left, right = st.columns(2, gap="large")
    for column, by in ((left, "recipe"), (right, "strength")):
        bars = [
            {by: f"{key:g}" if isinstance(key, float) else key, "percent": 100 * yes / count,
             "counts": f"{yes} of {count}", "generation": f"Generation {number}"}
            for (number, key), (yes, count) in accept_rates.summed(rates, by).items()
        ]  # fmt: skip
        with column:
            charts.shares(bars, by, "generation" if several else None)


def _counts(status: GenerationStatus) -> markup.Markup:
    return markup.counts([(word, str(getattr(status, field))) for word, field in COUNTED.items()])
