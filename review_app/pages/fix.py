"""Fix it: a candidate's caption, the candidate drawn again, a part of it painted anew; and how that goes on."""

import streamlit as st

from bootstrap.catalog import candidates, trainings
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app import fixing
from review_app.components import markup
from review_app.components.mask_painter import mask_painter, save_mask
from review_app.workspace import catalog_of

MOST = 16  # pictures at once, as `sid again` takes them
MOST_PADDING = 256  # pixels, as `sid inpaint` takes them
_OPENED = "candidate to mend"


def ask(candidate_id: str) -> None:
    """Open the dialog for this candidate with the next run."""
    st.session_state[_OPENED] = candidate_id


def show(project: Project) -> None:
    """Show the dialog, if it was asked for."""
    opened = st.session_state.get(_OPENED)
    if opened:
        _dialog(project, opened)


def _close() -> None:
    st.session_state.pop(_OPENED, None)


@st.dialog("Fix it", width="large", on_dismiss=_close)
@markup.told()
def _dialog(project: Project, candidate_id: str) -> None:
    catalog = catalog_of(project)
    one = candidates.candidate(catalog, project.name, candidate_id)
    caption, again, inpaint = st.tabs(["Caption", "Draw again", "Inpaint"])
    with caption:
        _caption(project, one)
    with again:
        _again(project, one)
    with inpaint:
        _inpaint(project, one)


def _caption(project: Project, one: Candidate) -> None:
    text = st.text_area(
        "What it is captioned with as a pick", one.caption, key=f"caption {one.id}",
        help="Tags, separated by commas. Empty: those of its prompt.",
    )  # fmt: skip
    if st.button("Keep this caption", key="keep caption", type="primary"):
        with markup.told():
            candidates.set_caption(catalog_of(project), project.name, one.id, text)
            st.toast("The caption is kept.", icon=":material/check:")
            _end()


def _again(project: Project, one: Candidate) -> None:
    own = one.shot.loras[0].training_id if one.shot.loras else ""
    training = trainings.find(catalog_of(project), project.name, own)
    there = [each.epoch for each in training.snapshots] if training else []
    left, right = st.columns(2)
    with left:
        usual = (0.0, 1.5)  # a candidate that was drawn with another one may keep it
        least, most = min(usual[0], one.shot.strength), max(usual[1], one.shot.strength)
        strength = st.slider("Strength", least, most, one.shot.strength, 0.05, key=f"strength {one.id}")
        count = st.number_input(
            "How many", 1, MOST, 2, key=f"again {one.id}", help="Each has a seed of its own."
        )
    with right:
        snapshot = one.shot.snapshot
        if snapshot in there:
            snapshot = st.select_slider("Snapshot", there, snapshot, key=f"snapshot {one.id}")
        seed = st.number_input(
            "Seed", 0, 2**32 - 1, None, key=f"seed {one.id}", placeholder=f"as it was: {one.shot.seed}"
        )
    if st.button("Draw", key="draw again", type="primary", icon=":material/brush:"):
        options = {
            "strength": f"{strength:g}" if abs(strength - one.shot.strength) > 1e-6 else None,
            "snapshot": snapshot if snapshot != one.shot.snapshot else None,
            "seed": seed,
            "count": count,
        }
        told = f"{count} again from {one.id[:6]} at strength {strength:g}, snapshot {snapshot}"
        fixing.order(project, told, "again", one.id, options)
        _end()


def _inpaint(project: Project, one: Candidate) -> None:
    left, right = st.columns(2)
    with left:
        painted = mask_painter(project, one, key=f"mask {one.id}")
    with right:
        only_masked = st.toggle(
            "Only masked", key=f"only masked {one.id}",
            help="Draws what you have painted over, and a little around it, as large as the whole picture, and puts it "
            "back smaller: for faces and hands. The caption stays this candidate's.",
        )  # fmt: skip
        padding = None
        if only_masked:
            usual = min(one.shot.width, one.shot.height) // 16  # AUTOMATIC1111's 32 for 512 pixels
            padding = st.number_input(
                "Only masked padding", 0, MOST_PADDING, min(usual, MOST_PADDING), key=f"padding {one.id}",
                help="So many pixels around it are drawn with it, so that it fits in.",
            )  # fmt: skip
        shown = "What the painted part shows then" if only_masked else "What the whole picture shows then"
        prompt = st.text_area(shown, one.shot.prompt, key=f"prompt {one.id}")
        denoising = st.slider(
            "Denoising strength", 0.05, 1.0, 0.75, 0.05, key=f"denoising {one.id}",
            help="How much of what is there goes: all of it at 1.",
        )  # fmt: skip
        rounds = st.number_input(
            "Rounds", 1, 8, 1, key=f"rounds {one.id}", help="Each starts from the picture before."
        )
        count = st.number_input("How many", 1, MOST, 2, key=f"inpaint {one.id}")
    if st.button("Draw", key="draw inpainted", type="primary", icon=":material/format_paint:"):
        with markup.told():
            if not prompt.strip():
                raise UserError("prompt: it is empty; say what the picture shows")
            mask = save_mask(project, one, painted)
            options = {
                "mask": mask, "prompt": prompt, "denoising-strength": f"{denoising:g}", "rounds": rounds,
                "only-masked-padding": padding, "count": count,
            }  # fmt: skip
            fixing.order(project, f"{count} painted anew in {one.id[:6]}", "inpaint", one.id, options)
            _end()


def _end() -> None:
    _close()
    st.rerun()


def progress(project: Project, first_key: str) -> None:
    """Show what is being drawn again; what is ready goes before the reviewer."""
    orders = fixing.fixes(project)
    if orders:
        busy = any(not one.ended for one in orders)
        st.fragment(_progress, run_every=2 if busy else None)(project, first_key)


@markup.told()
def _progress(project: Project, first_key: str) -> None:
    ready = []
    for number, one in enumerate(fixing.fixes(project)):
        with st.container(horizontal=True, vertical_alignment="center", key=f"fix-{number}"):
            if not one.ended:
                st.caption(f":material/hourglass_empty: Drawing {markup.plain(one.what)} …")
                continue
            if one.problem:
                st.error(f"{markup.plain(one.what)}: {markup.plain(one.problem)}", icon=":material/error:")
            else:
                st.caption(f":material/check: {markup.plain(one.what)}: ready, before you now.")
            if st.button("Dismiss", key=f"forget fix {number}", type="tertiary"):
                fixing.forget(project, one)
                st.rerun()
        if one.drawn and not one.was_shown:
            one.was_shown = True
            ready += one.drawn
    if ready:
        st.session_state[first_key] = ready
        st.rerun()
