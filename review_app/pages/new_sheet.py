"""Draw a sheet over two or three parameters, on the page Generations; what `sid sheet` does."""

from collections.abc import Sequence

import streamlit as st

from bootstrap.catalog import trainings
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.trainings import Training
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app import sheets_in_making
from review_app.components import markup
from review_app.workspace import catalog_of

_NONE = "none"
# The parameters that `bootstrap.drawing.sheet` draws over; it checks the values, and names what is wrong.
_PARAMETERS = {
    "strength": "0, 0.4, 0.6, 0.8, 1.0",
    "snapshot": "",
    "seed": "1, 2, 3",
    "steps": "15, 25, 40",
    "cfg_scale": "3, 5, 7",
    "sampler": "Euler a, DPM++ 2M Karras",
    "clip_skip": "1, 2",
}
_MOST_LETTERS = 2000  # of a field


def show(project: Project, statuses: Sequence[GenerationStatus]) -> None:
    """Show the form if a generation has a LoRA, and what became of the last order."""
    trained = {
        status.number: training
        for status in statuses
        if (training := trainings.of_generation(catalog_of(project), project.name, status.number))
        and training.finished
    }
    if not trained:
        return
    st.subheader("Draw a sheet", anchor=False)
    st.caption("One prompt with the same seed over two or three parameters, to choose by eye (X/Y/Z).")
    with st.container(key="new-sheet"):
        _form(project, trained)
        ordered = sheets_in_making.latest(project)
        if ordered is not None:
            st.fragment(_state, run_every=None if ordered.ended else 2)(project, ordered.ended)


def _form(project: Project, trained: dict[int, Training]) -> None:
    number = max(trained)
    if len(trained) > 1:
        number = st.selectbox(
            "LoRA", sorted(trained, reverse=True), format_func=lambda one: f"Generation {one}",
            key=f"sheet generation {project.name}", persist_state="session", filter_mode=None, width=200,
        )  # fmt: skip
    snapshots = ", ".join(str(snapshot.epoch) for snapshot in trained[number].snapshots)
    axes: dict[str, str] = {}
    for column, axis, present in zip(st.columns(3), "xyz", ("strength", "snapshot", _NONE), strict=True):
        with column:
            options = list(_PARAMETERS) if axis != "z" else [_NONE, *_PARAMETERS]
            name = st.selectbox(
                f"{axis.upper()}: parameter", options, options.index(present), key=f"sheet {axis} {project.name}",
                format_func=lambda one: one.replace("_", " "), persist_state="session", filter_mode=None,
            )  # fmt: skip
            if name == _NONE:
                continue
            values = st.text_input(
                f"{axis.upper()}: values", _PARAMETERS[name] or snapshots, max_chars=_MOST_LETTERS,
                key=f"sheet {axis} {name} {number} {project.name}", persist_state="session",
            )  # fmt: skip
            axes[axis] = f"{name}={','.join(part.strip() for part in values.split(','))}"
    prompt = st.text_input(
        "Prompt", key=f"sheet prompt {project.name}", max_chars=_MOST_LETTERS, persist_state="session",
        placeholder="Empty: the project's caption",
    )  # fmt: skip
    ordered = sheets_in_making.latest(project)
    is_drawing = ordered is not None and not ordered.ended
    if st.button("Draw the sheet", key="draw sheet", icon=":material/grid_on:", disabled=is_drawing):
        sheets_in_making.order(project, number, axes, prompt.strip())
        st.rerun()


@markup.show_errors()
def _state(project: Project, had_ended: bool) -> None:
    ordered = sheets_in_making.latest(project)
    if ordered is None:
        return
    if ordered.ended != had_ended:
        st.rerun(scope="app")
    if not ordered.ended:
        st.caption(f":material/hourglass_empty: Being drawn: {markup.plain(ordered.what)}")
    elif ordered.problem:
        raise UserError(ordered.problem)
    else:
        st.caption(f":material/check: Drawn, and listed under its generation: {markup.plain(ordered.what)}")
