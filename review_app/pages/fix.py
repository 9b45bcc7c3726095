"""Fix it: edit a candidate's caption, draw it again or inpaint part of it; and the progress of such orders."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from bootstrap.catalog import candidates, trainings
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.project.projects import Project
from bootstrap.shot_limits import LEAST_CFG_SCALE, MOST_CFG_SCALE, MOST_STEPS
from bootstrap.shots import Shot
from review_app import fixing
from review_app.components import markup
from review_app.components.mask_painter import mask_painter, of_candidate, of_original, save_mask
from review_app.urls import picture_url
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


def _beside(project: Project, candidate: Candidate) -> Any:
    """Show the candidate, and return the place for what belongs beside it."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        src = picture_url(project, candidate.id)
        markup.show(markup.element("img", src=src, alt="The candidate", class_="sid-mended"))
    return right


def _caption(project: Project, candidate: Candidate) -> None:
    with _beside(project, candidate):
        text = st.text_area(
            "Caption as a pick", candidate.caption, key=f"caption {candidate.id}", height=160,
            help="Tags separated by commas. If empty, the caption is the prompt's tags.",
        )  # fmt: skip
        if st.button("Save the caption", key="keep caption", type="primary"):
            with markup.show_errors():
                candidates.set_caption(catalog_of(project), project.name, candidate.id, text)
                st.toast("Caption saved.", icon=":material/check:")
                _end()


def _again(project: Project, candidate: Candidate) -> None:
    with _beside(project, candidate):
        changes = _prompts(candidate) | _sampling(candidate) | _lora(project, candidate)
        left, right = st.columns(2)
        with left:
            count = st.number_input(
                "How many", 1, MOST, 2, key=f"again {candidate.id}", help="Each picture has its own seed."
            )
        with right:
            seed = st.number_input(
                "Seed", 0, 2**32 - 1, None, key=f"seed {candidate.id}", placeholder=f"unchanged: {candidate.shot.seed}"
            )  # fmt: skip
        if st.button("Draw", key="draw again", type="primary", icon=":material/brush:"):
            with markup.show_errors():
                if changes["prompt"] == "":
                    raise UserError("prompt: it is empty; describe what the picture should show")
                description = f"{count} from {candidate.id[:6]}{_in_words(changes)}"
                options = {**changes, "seed": seed, "count": count}
                fixing.order(project, description, "again", candidate.id, options)
                _end()


def _prompts(candidate: Candidate) -> dict[str, object]:
    """Show the prompts; return those that were changed, as options of `sid again`."""
    shot = candidate.shot
    prompt = st.text_area("Prompt", shot.prompt, key=f"new prompt {candidate.id}", height=110).strip()
    negative = st.text_area(
        "Negative prompt", shot.negative_prompt, key=f"negative {candidate.id}", height=68
    ).strip()
    return {
        "prompt": prompt if prompt != shot.prompt.strip() else None,
        "negative-prompt": negative if negative != shot.negative_prompt.strip() else None,
    }


def _sampling(candidate: Candidate) -> dict[str, object]:
    """Show CFG scale, steps, sampler and schedule; return those that were changed, as options of `sid again`."""
    shot = candidate.shot
    samplers, schedules = _samplers(shot)
    left, middle, right, last = st.columns(4)
    with left:
        cfg_scale = st.number_input(
            "CFG scale", LEAST_CFG_SCALE, MOST_CFG_SCALE, float(shot.cfg_scale), 0.5, key=f"cfg {candidate.id}",
            format="%g",
        )  # fmt: skip
    with middle:
        steps = st.number_input("Steps", 1, MOST_STEPS, shot.steps, key=f"steps {candidate.id}")
    with right:
        sampler = st.selectbox(
            "Sampler", samplers, samplers.index(shot.sampler), key=f"sampler {candidate.id}", filter_mode=None
        )
    with last:
        schedule = st.selectbox(
            "Schedule type", schedules, schedules.index(shot.schedule) if shot.schedule in schedules else None,
            key=f"schedule {candidate.id}", placeholder="as before", filter_mode=None,
        )  # fmt: skip
    return {
        "cfg-scale": f"{cfg_scale:g}" if abs(cfg_scale - shot.cfg_scale) > 1e-6 else None,
        "steps": steps if steps != shot.steps else None,
        "sampler": sampler if sampler != shot.sampler else None,
        "schedule": schedule if schedule != (shot.schedule or None) else None,
    }


def _samplers(shot: Shot) -> tuple[list[str], list[str]]:
    """Return the samplers and the schedules that can draw with the shot's base model, its own ones among them."""
    try:
        family = specs.family(specs.find(shot.base_model, local_only=True))
    except UserError:  # the verb says what is wrong with the base model
        family = None
    samplers = list(family.samplers) if family else []
    schedules = list(family.schedules) if family else []
    if shot.sampler not in samplers:
        samplers.insert(0, shot.sampler)
    if shot.schedule and shot.schedule not in schedules:
        schedules.insert(0, shot.schedule)
    return samplers, schedules


def _lora(project: Project, candidate: Candidate) -> dict[str, object]:
    """Show strength and snapshot of the LoRA; return those that were changed, as options of `sid again`."""
    shot = candidate.shot
    if not shot.loras or shot.loras[0].sha256 or shot.loras[0].source:
        return {}
    training = trainings.find(catalog_of(project), project.name, shot.loras[0].training_id)
    epochs = [snapshot.epoch for snapshot in training.snapshots] if training else []
    left, right = st.columns(2)
    with left:
        usual = (0.0, 1.5)  # widened if the candidate was drawn with a strength outside it
        least, most = min(usual[0], shot.strength), max(usual[1], shot.strength)
        strength = st.slider("Strength", least, most, shot.strength, 0.05, key=f"strength {candidate.id}")
    snapshot = shot.snapshot
    with right:
        if snapshot in epochs and len(epochs) > 1:
            snapshot = st.select_slider("Snapshot", epochs, snapshot, key=f"snapshot {candidate.id}")
    return {
        "strength": f"{strength:g}" if abs(strength - shot.strength) > 1e-6 else None,
        "snapshot": snapshot if snapshot != shot.snapshot else None,
    }


def _in_words(changes: Mapping[str, object]) -> str:
    """Return what was changed, for the line about an order."""
    texts = ("prompt", "negative-prompt")
    words = [
        f"another {name.replace('-', ' ')}" if name in texts else f"{name.replace('-', ' ')} {value}"
        for name, value in changes.items()
        if value is not None
    ]
    return f" with {', '.join(words)}".replace("cfg scale", "CFG scale") if words else ""


def _inpaint(project: Project, candidate: Candidate) -> None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        whose = st.segmented_control(
            "Redraw a part of", ["this candidate", "the original"], default="this candidate", required=True,
            key=f"inpaint of {candidate.id}",
            help="The original is redrawn with the candidate's LoRA, strength, size and sampler.",
        )  # fmt: skip
        is_original = whose == "the original"
        picture = of_original(project) if is_original else of_candidate(project, candidate)
        painted = mask_painter(picture, key=f"mask {'original ' if is_original else ''}{candidate.id}")
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
        prompt = st.text_area(label, candidate.shot.prompt, key=f"prompt {candidate.id}", height=130)
        denoising = st.slider(
            "Denoising strength", 0.05, 1.0, 0.75, 0.05, key=f"denoising {candidate.id}",
            help="How much the painted part may change. At 1 nothing of the old picture stays.",
        )  # fmt: skip
        several, many = st.columns(2)
        with several:
            rounds = st.number_input(
                "Rounds", 1, 8, 1, key=f"rounds {candidate.id}",
                help="Each round starts from the result of the one before.",
            )  # fmt: skip
        with many:
            count = st.number_input("How many", 1, MOST, 2, key=f"inpaint {candidate.id}")
        if st.button("Draw", key="draw inpainted", type="primary", icon=":material/format_paint:"):
            with markup.show_errors():
                if not prompt.strip():
                    raise UserError("prompt: it is empty; describe what the picture should show")
                mask = save_mask(project, candidate.generation, picture, painted)
                options = {
                    "mask": mask, "prompt": prompt, "denoising-strength": f"{denoising:g}", "rounds": rounds,
                    "only-masked-padding": padding, "count": count, "original": True if is_original else None,
                }  # fmt: skip
                of = f"the original as {candidate.id[:6]}" if is_original else candidate.id[:6]
                fixing.order(project, f"{count} inpainted from {of}", "inpaint", candidate.id, options)
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
