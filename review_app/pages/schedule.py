"""Schedule: when the nightly run starts, its limits, and how the last ones ended; Prefect stores all of it."""

from datetime import datetime, time
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from bootstrap.commands import command
from bootstrap.errors import UserError
from review_app import schedules
from review_app.components import markup
from review_app.components.progress import duration
from review_app.schedules import Night, Nights, Schedule
from review_app.workspace import workspace

_PROBLEM = "schedule problem"
_NIGHTLY, _CRON = "Every night at", "By cron"
_OUTCOMES = {
    "COMPLETED": ("Done", ":material/check_circle:"),
    "FAILED": ("Some projects failed", ":material/error:"),
    "CRASHED": ("Crashed", ":material/error:"),
    "CANCELLED": ("Cancelled", ":material/stop_circle:"),
}
_SOURCES = {"sid": "from --cron, removed by the next start without it", schedules.SLUG: ""}


def show() -> None:
    """Show the page."""
    markup.heading("Schedule", "what runs while you sleep")
    st.write(
        "A nightly run works through all projects, one after another. It grows the dataset of a reviewed project and "
        "runs its next generation, or draws more of the same one if too few candidates were accepted. It skips "
        "projects whose candidates still wait for review."
    )
    _live()


@st.fragment(run_every=10)
def _live() -> None:
    try:
        nights = schedules.read(workspace())
    except UserError as error:
        with st.container(border=True, key="no-prefect"):
            st.subheader("No nightly runs here", anchor=False)
            st.write(markup.plain(str(error)[:1].upper() + str(error)[1:] + "."))
            st.caption("This command starts everything it needs:")
            st.code(command("up"), language=None)
        return
    problem = st.session_state.pop(_PROBLEM, None)
    if problem:
        st.error(markup.plain(problem), icon=":material/error:")
    _next(nights)
    own = next((schedule for schedule in nights.schedules if schedule.slug == schedules.SLUG), None)
    _form(own, nights.min_picks)
    _last(nights)


def _next(nights: Nights) -> None:
    with st.container(border=True, key="next-night"):
        if not nights.schedules:
            st.subheader("No schedule yet", anchor=False)
            st.write("Set one below.")
            return
        st.subheader(_next_words(nights), anchor=False)
        if not nights.is_served:
            st.warning(
                "No runner is connected, so a nightly run would not start: run "
                + markup.plain(f"{command('up')} or {command('serve')}."),
                icon=":material/warning:",
            )
        for schedule in nights.schedules:
            _schedule_row(schedule)


def _next_words(nights: Nights) -> str:
    active = [schedule for schedule in nights.schedules if schedule.active]
    if not active:
        return "Paused"
    if nights.next_run is None:
        return "Prefect is planning the next run"
    local = nights.next_run.astimezone(ZoneInfo(active[0].timezone))
    seconds = (nights.next_run - datetime.now(nights.next_run.tzinfo)).total_seconds()
    return f"Next run: {local:%A, %d %B, %H:%M}, in {duration(max(0.0, seconds)).removeprefix('about ')}"


def _schedule_row(schedule: Schedule) -> None:
    words, buttons = st.columns([3, 2], vertical_alignment="center")
    limits = [f"until {schedule.deadline}"] if schedule.deadline else []
    limits += (
        [f"with up to {schedule.max_waiting} candidates still undecided"] if schedule.max_waiting else []
    )
    limits += [f"needs {schedule.min_picks} picks"] if schedule.min_picks > 1 else []
    source = _SOURCES.get(schedule.slug, "set in Prefect")
    details = ", ".join([schedule.timezone, *limits, *([source] if source else [])])
    state = "" if schedule.active else " (paused)"
    with words:
        st.write(f"{markup.plain(schedule.words)}{state}  \n:small[{markup.plain(details)}]")
    with buttons, st.container(horizontal=True, horizontal_alignment="right"):
        st.button(
            "Pause" if schedule.active else "Resume", key=f"pause {schedule.id}",
            icon=":material/pause:" if schedule.active else ":material/play_arrow:",
            on_click=_set_active, args=(schedule, not schedule.active),
        )  # fmt: skip
        st.button(
            "Remove", key=f"remove {schedule.id}", icon=":material/delete:", type="tertiary",
            on_click=_remove, args=(schedule,),
        )  # fmt: skip


def _form(present: Schedule | None, min_picks: int) -> None:
    title = "Change the schedule" if present else "Set a schedule"
    nightly = present is None or present.words.startswith(_NIGHTLY)
    # A schedule that was changed elsewhere gets new fields, with its new values.
    key = f"schedule {present}"
    with st.expander(title, expanded=present is None, key="schedule form"):
        left, right = st.columns(2, gap="medium")
        with left:
            how = st.segmented_control(
                "When",
                [_NIGHTLY, _CRON],
                default=_NIGHTLY if nightly else _CRON,
                required=True,
                key=f"{key} how",
            )
            if how == _NIGHTLY:
                at = st.time_input("At", _time_of(present, time(1)), step=900, key=f"{key} at")
                cron = f"{at.minute} {at.hour} * * *"
            else:
                cron = st.text_input(
                    "Cron", present.cron if present else "0 1 * * *", key=f"{key} cron",
                    help="Minute, hour, day, month, weekday: 0 1 * * 1-5 is 1:00 from Monday to Friday.",
                ).strip()  # fmt: skip
            zones = sorted(available_timezones())
            zone = present.timezone if present else _local_timezone()
            timezone = st.selectbox(
                "Time zone", zones, zones.index(zone) if zone in zones else None, key=f"{key} zone"
            )
        with right:
            limited = st.toggle(
                "Stop at a deadline", bool(present and present.deadline), key=f"{key} limited"
            )
            until = st.time_input(
                "Deadline", _deadline_of(present), step=900, key=f"{key} until", disabled=not limited,
                help="No project starts after it; the running one stops and resumes the next night.",
            )  # fmt: skip
            waiting = st.number_input(
                "Candidates that may wait for review", 0, None, present.max_waiting if present else 0,
                key=f"{key} waiting",
                help="A project's next generation runs if at most this many of its candidates are undecided.",
            )  # fmt: skip
            enough = st.number_input(
                "Picks needed for the next generation", 1, None,
                present.min_picks if present else min_picks, key=f"{key} enough",
                help="With fewer picks, more of the same generation is drawn, with other seeds.",
            )  # fmt: skip
        # Not a callback: its arguments would come from the previous script run, without the latest input.
        if st.button("Save the schedule", key="save schedule", type="primary", icon=":material/save:"):
            _save(cron, timezone, f"{until:%H:%M}" if limited and until else None, int(waiting), int(enough))
            st.rerun(scope="fragment")


def _time_of(present: Schedule | None, otherwise: time) -> time:
    parts = present.cron.split() if present else []
    if present is None or not present.words.startswith(_NIGHTLY):
        return otherwise
    return time(int(parts[1]), int(parts[0]))


def _deadline_of(present: Schedule | None) -> time:
    return time.fromisoformat(present.deadline) if present and present.deadline else time(7)


def _local_timezone() -> str:
    from tzlocal import get_localzone_name

    return get_localzone_name() or "UTC"


def _last(nights: Nights) -> None:
    if not nights.last:
        st.caption("No nightly run yet.")
        return
    with st.container(key="last-nights"):
        st.subheader("Last nightly runs", anchor=False)
        for night in nights.last:
            _night(night)


def _night(night: Night) -> None:
    word, icon = _OUTCOMES.get(night.run.state, (night.run.outcome, ":material/help:"))
    when = night.run.started.astimezone() if night.run.started else None
    head = f"{when:%A, %d %B, %H:%M}" if when else "Not started"
    with st.expander(f"{head} · {word} · took {duration(night.run.seconds)}", icon=icon):
        if night.run.message and night.run.state != "COMPLETED":
            st.caption(markup.plain(night.run.message))
        if night.rows:
            markup.show(markup.table(("Project", "Outcome", "Why"), night.rows))
        elif night.run.state == "COMPLETED":
            st.caption("There were no projects.")


# ---- the buttons


def _save(cron: str, timezone: str | None, deadline: str | None, max_waiting: int, min_picks: int) -> None:
    try:
        schedules.put(workspace(), cron, timezone or "", deadline, max_waiting, min_picks)
    except UserError as error:
        st.session_state[_PROBLEM] = str(error)


def _set_active(schedule: Schedule, active: bool) -> None:
    try:
        schedules.set_active(workspace(), schedule.id, active)
    except UserError as error:
        st.session_state[_PROBLEM] = str(error)


def _remove(schedule: Schedule) -> None:
    try:
        schedules.remove(workspace(), schedule.id)
    except UserError as error:
        st.session_state[_PROBLEM] = str(error)
