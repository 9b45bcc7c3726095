"""Fix it: edit a candidate's caption, draw it again or inpaint part of it; and the progress of such orders."""

import streamlit as st

from bootstrap.catalog import candidates, trainings
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from review_app import fixing
from review_app.components import markup
from review_app.components.mask_painter import mask_painter, save_mask
from review_app.workspace import catalog_of

MOST = 16  # pictures an order, the limit of `sid again`
MOST_PADDING = 256  # pixels, the limit of `sid inpaint`
_OPENED = "candidate to mend"


def ask(candidate_id: str) -> None:
    """Open the dialog for this candidate in the next script run."""
    st.session_state[_OPENED] = candidate_id


def show(project: Project) -> None:
    """Show the dialog, if it was requested."""
    opened = st.session_state.get(_OPENED)
    if opened:
        _dialog(project, opened)


def _close() -> None:
    st.session_state.pop(_OPENED, None)


@st.dialog("Fix it", width="large", on_dismiss=_close)
@markup.show_errors()
def _dialog(project: Project, candidate_id: str) -> None:
    catalog = catalog_of(project)
    candidate = candidates.candidate(catalog, project.name, candidate_id)
    caption, again, inpaint = st.tabs(["Caption", "Draw again", "Inpaint"])
    with caption:
        _caption(project, candidate)
    with again:
        _again(project, candidate)
    with inpaint:
        _inpaint(project, candidate)


def _caption(project: Project, candidate: Candidate) -> None:
    text = st.text_area(
        "Caption as a pick", candidate.caption, key=f"caption {candidate.id}",
        help="Tags separated by commas. If empty, the caption is the prompt's tags.",
    )  # fmt: skip
    if st.button("Save the caption", key="keep caption", type="primary"):
        with markup.show_errors():
            candidates.set_caption(catalog_of(project), project.name, candidate.id, text)
            st.toast("Caption saved.", icon=":material/check:")
            _end()


def _again(project: Project, candidate: Candidate) -> None:
    training_id = candidate.shot.loras[0].training_id if candidate.shot.loras else ""
    training = trainings.find(catalog_of(project), project.name, training_id)
    epochs = [snapshot.epoch for snapshot in training.snapshots] if training else []
    left, right = st.columns(2)
    with left:
        usual = (0.0, 1.5)  # widened if the candidate was drawn with a strength outside it
        least, most = min(usual[0], candidate.shot.strength), max(usual[1], candidate.shot.strength)
        strength = st.slider(
            "Strength", least, most, candidate.shot.strength, 0.05, key=f"strength {candidate.id}"
        )
        count = st.number_input(
            "How many", 1, MOST, 2, key=f"again {candidate.id}", help="Each picture has its own seed."
        )
    with right:
        snapshot = candidate.shot.snapshot
        if snapshot in epochs:
            snapshot = st.select_slider("Snapshot", epochs, snapshot, key=f"snapshot {candidate.id}")
        seed = st.number_input(
            "Seed",
            0,
            2**32 - 1,
            None,
            key=f"seed {candidate.id}",
            placeholder=f"unchanged: {candidate.shot.seed}",
        )
    if st.button("Draw", key="draw again", type="primary", icon=":material/brush:"):
        options = {
            "strength": f"{strength:g}" if abs(strength - candidate.shot.strength) > 1e-6 else None,
            "snapshot": snapshot if snapshot != candidate.shot.snapshot else None,
            "seed": seed,
            "count": count,
        }
        description = f"{count} from {candidate.id[:6]} at strength {strength:g}, snapshot {snapshot}"
        fixing.order(project, description, "again", candidate.id, options)
        _end()


def _inpaint(project: Project, candidate: Candidate) -> None:
    left, right = st.columns(2)
    with left:
        painted = mask_painter(project, candidate, key=f"mask {candidate.id}")
    with right:
        only_masked = st.toggle(
            "Only masked", key=f"only masked {candidate.id}",
            help="Draws the painted part and its surroundings at the size of the whole picture, then scales the result "
            "down into place: for faces and hands. The caption does not change.",
        )  # fmt: skip
        padding = None
        if only_masked:
            usual = (
                min(candidate.shot.width, candidate.shot.height) // 16
            )  # AUTOMATIC1111's 32 for 512 pixels
            padding = st.number_input(
                "Only masked padding", 0, MOST_PADDING, min(usual, MOST_PADDING), key=f"padding {candidate.id}",
                help="This many pixels around the painted part are drawn with it, so that it blends in.",
            )  # fmt: skip
        label = "Prompt for the painted part" if only_masked else "Prompt for the whole picture"
        prompt = st.text_area(label, candidate.shot.prompt, key=f"prompt {candidate.id}")
        denoising = st.slider(
            "Denoising strength", 0.05, 1.0, 0.75, 0.05, key=f"denoising {candidate.id}",
            help="How much the painted part may change. At 1 nothing of the old picture stays.",
        )  # fmt: skip
        rounds = st.number_input(
            "Rounds",
            1,
            8,
            1,
            key=f"rounds {candidate.id}",
            help="Each round starts from the result of the one before.",
        )
        count = st.number_input("How many", 1, MOST, 2, key=f"inpaint {candidate.id}")
    if st.button("Draw", key="draw inpainted", type="primary", icon=":material/format_paint:"):
        with markup.show_errors():
            if not prompt.strip():
                raise UserError("prompt: it is empty; describe what the picture should show")
            mask = save_mask(project, candidate, painted)
            options = {
                "mask": mask, "prompt": prompt, "denoising-strength": f"{denoising:g}", "rounds": rounds,
                "only-masked-padding": padding, "count": count,
            }  # fmt: skip
            fixing.order(
                project, f"{count} inpainted from {candidate.id[:6]}", "inpaint", candidate.id, options
            )
            _end()


def _end() -> None:
    _close()
    st.rerun()


def progress(project: Project, first_key: str) -> None:
    """Show the orders to draw again; the deck shows finished pictures next."""
    orders = fixing.fixes(project)
    if orders:
        busy = any(not order.ended for order in orders)
        st.fragment(_progress, run_every=2 if busy else None)(project, first_key)


@markup.show_errors()
def _progress(project: Project, first_key: str) -> None:
    ready = []
    for number, order in enumerate(fixing.fixes(project)):
        with st.container(horizontal=True, vertical_alignment="center", key=f"fix-{number}"):
            if not order.ended:
                st.caption(f":material/hourglass_empty: Drawing {markup.plain(order.what)} …")
                continue
            if order.problem:
                st.error(
                    f"{markup.plain(order.what)}: {markup.plain(order.problem)}", icon=":material/error:"
                )
            else:
                st.caption(f":material/check: {markup.plain(order.what)}: ready, in the deck now.")
            if st.button("Dismiss", key=f"forget fix {number}", type="tertiary"):
                fixing.forget(project, order)
                st.rerun()
        if order.drawn and not order.was_shown:
            order.was_shown = True
            ready += order.drawn
    if ready:
        st.session_state[first_key] = ready
        st.rerun()
