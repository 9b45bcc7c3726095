"""Projects: all of the workspace with their originals, what each waits for, and the one queue of what runs."""

from dataclasses import dataclass

import streamlit as st

from bootstrap.catalog import generations
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app import links, prefect_runs, starting
from review_app.components import markup
from review_app.components.progress import how_far, share
from review_app.phases import BUSY, Phase, phase
from review_app.prefect_runs import Waiting
from review_app.urls import small_original_url
from review_app.workspace import catalog_of, workspace

_SECONDS = 5  # between two looks


@dataclass(frozen=True)
class _Shown:
    """A project as this page shows it."""

    project: Project
    phase: Phase
    why: str
    statuses: list[GenerationStatus]

    @property
    def undecided(self) -> int:
        """Number of pictures that wait for a verdict."""
        return sum(status.undecided for status in self.statuses)


def show() -> None:
    """Show the page."""
    names = workspace().project_names()
    markup.heading("Projects", f"{len(names)} in {workspace().folder}" if names else "")
    if not names:
        with st.container(border=True, key="nothing-yet"):
            st.subheader("No project yet", anchor=False)
            st.write("A project starts from one picture and its caption.")
            links.button("new", "Create a project", ":material/add_photo_alternate:")
        return
    _all()


@st.fragment(run_every=_SECONDS)
@markup.show_errors()
def _all() -> None:
    shown = [_look_at(workspace().project(name)) for name in workspace().project_names()]
    _queue([one for one in shown if one.phase in BUSY])
    with st.container(horizontal=True, key="projects"):
        for one in sorted(shown, key=lambda one: (not one.undecided, one.project.name.casefold())):
            _card(one)
    links.follow()


def _look_at(project: Project) -> _Shown:
    try:
        statuses = generations.statuses(catalog_of(project), project.name)
        what, why = phase(project, statuses, starting.latest(project))
    except UserError as error:
        return _Shown(project, Phase.FAILED, str(error), [])
    return _Shown(project, what, why, statuses)


def _queue(running: list[_Shown]) -> None:
    """Show what runs and what waits for its turn, over all projects."""
    waiting = prefect_runs.waiting() if prefect_runs.api_url() else []
    with st.container(border=True, key="queue"):
        st.subheader("Queue", anchor=False)
        if not running and not waiting:
            st.caption("Nothing runs, and nothing waits for its turn.")
        for one in running:
            name = markup.plain(one.project.name)
            if one.phase is Phase.STARTING or not one.statuses:
                # A GPU has one run at a time: the others have begun as processes, and wait.
                others = any(other.phase is Phase.RUNNING for other in running)
                st.progress(0.0, f"**{name}** · {'waits for its turn, or starts' if others else 'starting'}")
            else:
                latest = one.statuses[-1]
                st.progress(share(latest), f"**{name}** · {markup.plain(how_far(latest))}")
        known = {one.project.name for one in running}
        for run in waiting:
            if run.project not in known:
                st.caption(f":material/schedule: **{markup.plain(run.project)}** · {_when(run)}")


def _when(run: Waiting) -> str:
    if run.due is None or run.is_late:
        return "waits for its turn"
    return f"starts at {run.due.astimezone():%a %H:%M}"


def _card(one: _Shown) -> None:
    name = one.project.name
    with st.container(border=True, key=f"project-{name}", width=250):
        markup.show(
            markup.element(
                "img", src=small_original_url(one.project), alt=f"The original of {name}", class_="sid-cover",
                loading="lazy",
            )
        )  # fmt: skip
        st.subheader(markup.plain(name), anchor=False)
        st.caption(markup.plain(_state(one)))
        page = "review" if one.undecided else "generations"
        st.button(
            "Review" if one.undecided else "Open", key=f"open {name}", on_click=_open, args=(name, page),
            type="primary" if one.undecided else "secondary", width="stretch",
        )  # fmt: skip


def _state(one: _Shown) -> str:
    """Return what a project does or waits for, in a line."""
    number = one.statuses[-1].number if one.statuses else 1
    if one.undecided:
        waits = (
            "1 picture waits for a verdict"
            if one.undecided == 1
            else f"{one.undecided} pictures wait for verdicts"
        )
        return f"Generation {number}: {waits}" + (", a run is going on" if one.phase in BUSY else "")
    words = {
        Phase.NEW: "ready for its first generation",
        Phase.STARTING: "a generation is starting",
        Phase.RUNNING: f"generation {number} is running",
        Phase.INTERRUPTED: f"generation {number} was interrupted",
        Phase.CANCELLED: f"generation {number} was cancelled",
        Phase.FAILED: one.why or f"generation {number} failed",
        Phase.REVIEW: f"generation {number}: all decided",
        Phase.GROWN: f"ready for generation {number + 1}",
    }
    text = words[one.phase]
    return text[:1].upper() + text[1:]


def _open(name: str, page: str) -> None:
    links.choose_project(name)
    links.ask_for(page)
