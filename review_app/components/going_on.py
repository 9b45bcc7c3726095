"""What a project is doing right now: the station with its progress, and the pictures drawn so far."""

from collections.abc import Sequence

import streamlit as st

from bootstrap.catalog import candidates, generations
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.project.projects import Project
from review_app import starting
from review_app.components import markup
from review_app.components.progress import how_far, share, station, stations
from review_app.links import button
from review_app.phases import BUSY, Phase, phase
from review_app.urls import picture_url, thumbnail_url
from review_app.workspace import catalog_of

_MOST_SHOWN = 60  # pictures of a strip, the newest first


def show(project: Project, *, with_pictures: bool = True) -> Phase:
    """Show what the project is doing if that concerns its latest generation, and return its phase.

    While a run works on it, the panel follows it; a generation that stopped before its review says so.

    Args:
        project: to show.
        with_pictures: also show what has been drawn so far.
    """
    statuses = generations.statuses(catalog_of(project), project.name)
    what = phase(project, statuses, starting.latest(project))[0]
    if what in BUSY:
        st.fragment(_follow, run_every=1)(project, with_pictures)
    elif what in (Phase.INTERRUPTED, Phase.CANCELLED, Phase.FAILED):
        _stopped(project, statuses, with_pictures)
    return what


@markup.show_errors()
def _follow(project: Project, with_pictures: bool) -> None:
    statuses = generations.statuses(catalog_of(project), project.name)
    what = phase(project, statuses, starting.latest(project))[0]
    if what not in BUSY:
        st.rerun(scope="app")
    with st.container(border=True, key="going-on"):
        if what is Phase.STARTING or not statuses:
            st.subheader("A generation is starting", anchor=False)
            st.progress(0.0, "The first progress report takes a few seconds")
        else:
            latest = statuses[-1]
            st.subheader(f"Generation {latest.number} is running", anchor=False)
            markup.show(stations(latest.state))
            st.progress(share(latest), markup.plain(how_far(latest)))
            if with_pictures:
                strip(project, latest)
        button("generations", "Show it on Generations", ":material/monitoring:", primary=False)


def _stopped(project: Project, statuses: Sequence[GenerationStatus], with_pictures: bool) -> None:
    with st.container(border=True, key="going-on"):
        latest = statuses[-1] if statuses else None
        if latest is None:
            st.subheader("The generation did not start", anchor=False)
        else:
            st.subheader(f"Generation {latest.number} has not finished", anchor=False)
            drawn = f", {pictures(latest.candidates)} drawn" if latest.candidates else ""
            st.write(f"{station(latest.state)}{drawn}. What is done is kept; the run can go on.")
            if with_pictures:
                strip(project, latest)
        button("generations", "Continue on Generations", ":material/play_arrow:")


def strip(project: Project, status: GenerationStatus) -> None:
    """Show the pictures that a generation has drawn so far, the newest first; each opens in full size."""
    if not status.candidates:
        return
    newest = candidates.newest(catalog_of(project), project.name, status.number, _MOST_SHOWN)
    links = [
        markup.element(
            "a",
            markup.element("img", src=thumbnail_url(project, one), alt=f"Picture {one}", loading="lazy"),
            href=picture_url(project, one),
            target="_blank",
        )
        for one in newest
    ]
    what = f"{pictures(status.candidates)} drawn so far"
    if status.candidates > len(newest):
        what += f"; the newest {len(newest)} of them"
    markup.show(
        markup.element("p", what, class_="sid-small-print"),
        markup.element("div", *links, class_="sid-strip"),
    )


def pictures(count: int) -> str:
    """Return a number of pictures in words."""
    return "1 picture" if count == 1 else f"{count} pictures"
