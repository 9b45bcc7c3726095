"""New project: from a picture, its caption's tags and a base model."""

from typing import Any

import streamlit as st
from PIL import Image

from bootstrap import captions, images
from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.pictures import drawn_tags
from bootstrap.project import projects
from bootstrap.project.settings import TrainingSection
from bootstrap.prompting import token_counts
from review_app import links, tag_checks, uploads
from review_app.components import markup
from review_app.tag_checks import Check
from review_app.workspace import workspace

_CHECK = "tags being drawn"
_PREVIEW_SIDE = 640
_MAX_TOKENS = TrainingSection().max_token_length


def show() -> None:
    """Show the page."""
    markup.heading("New project", "one picture and its caption")
    left, right = st.columns([2, 3], gap="large")
    with left:
        upload = st.file_uploader(
            "Picture", type=list(uploads.TYPES), max_upload_size=uploads.MAX_MEGABYTES, key="new picture"
        )
        if upload is None:
            st.caption("The original: the one picture that the project starts from.")
        with markup.show_errors():
            _preview(upload)
    with right:
        suggested = uploads.project_name(upload.name) if upload else ""
        # The key depends on the suggestion, so that another picture suggests another name.
        name = st.text_input("Name", suggested, key=f"new name {suggested}", max_chars=64, placeholder="anna")
        caption = st.text_area(
            "Caption", key="new caption", height=110, placeholder="woman, red apple, blue blazer, teal wall, window",
            help="Tags separated by commas, the subject first.",
        )  # fmt: skip
        st.caption(
            "What the caption names can be left out or brought back; the rest sticks to the subject. "
            "Name everything that should be removable."
        )
        base = st.selectbox(
            "Base model", specs.embedded_names(), key="new base model", accept_new_options=True,
            format_func=markup.plain,
            help="An embedded model, or the path of a diffusers folder or .safetensors file, or a Hugging Face id.",
        )  # fmt: skip
        # Not a callback: its arguments would come from the previous script run, without the latest input.
        if st.button(
            "Create the project", type="primary", icon=":material/add_photo_alternate:", key="make project"
        ):
            with markup.show_errors():
                _make(upload, name.strip(), caption, base or "")
        # Below the button, so that what appears while a person reaches for it does not push it aside.
        with markup.show_errors():
            _tokens(caption, base or "")
        if captions.without_syntax(caption) and base:
            checks = st.session_state.get(_CHECK)
            busy = checks is not None and not checks.ended
            st.fragment(_drawings, run_every=2 if busy else None)(caption, base, busy)


def _preview(upload: Any) -> None:
    """Show the picture as the project will keep it: upright, on white, with its size."""
    if upload is None:
        return
    preview = st.session_state.get("new preview")
    if preview is None or preview[0] != upload.file_id:
        preview = (upload.file_id, *_read(upload))
        st.session_state["new preview"] = preview
    _, small, told = preview
    if small is None:
        raise UserError(told)
    st.image(small, width="stretch")
    st.caption(told)


def _read(upload: Any) -> tuple[Image.Image | None, str]:
    """Return a small copy of an upload and what to say of it; no picture: why it cannot be used."""
    try:
        with uploads.as_file(upload) as path:
            picture = images.open_picture(path)
            part = ", the first of several frames or pages" if images.has_more_frames(path) else ""
    except UserError as error:
        return None, str(error)
    told = f"{picture.width}×{picture.height} pixels, as it will be used{part}"
    picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    return picture, told


def _tokens(caption: str, base: str) -> None:
    """Show each tag with its number of tokens, and the total."""
    try:
        tags = captions.read(caption)
    except ValueError as error:
        raise UserError(f"caption: {error}") from None
    if not tags or not base:
        return
    spec = specs.find(base)
    total = token_counts.count(spec, captions.join(tags))
    if total is None:
        st.caption("Token counts appear once the base model is on this machine.")
        return
    chips = [
        markup.element(
            "li",
            tag,
            markup.element("small", str(token_counts.count(spec, tag))),
            class_="sid-tag sid-counted",
        )
        for tag in tags
    ]
    markup.show(markup.element("ul", *chips, class_="sid-tags sid-left", aria_label="Tags with their tokens"))
    tag_word = "tag" if len(tags) == 1 else "tags"
    st.caption(f"{len(tags)} {tag_word}, {total} of {_MAX_TOKENS} tokens, including commas")
    if total > _MAX_TOKENS:
        raise UserError(f"caption: {total} tokens are more than {_MAX_TOKENS}; remove or shorten tags")


@markup.show_errors()
def _drawings(caption: str, base: str, looks_often: bool) -> None:
    """Show, on request, what the base model draws for each tag; mark the tags that it does not seem to know."""
    check: Check | None = st.session_state.get(_CHECK)
    busy = check is not None and not check.ended
    if busy != looks_often:
        st.rerun(scope="app")
    spec, tags = specs.find(base), captions.without_syntax(caption)
    folder = tag_checks.folder(workspace(), spec)
    drawings = drawn_tags.read(folder)
    missing = [tag for tag in dict.fromkeys(tags) if tag not in drawings]
    if busy:
        st.caption(":material/hourglass_empty: The base model is drawing the tags …")
    elif missing and st.button(
        "See how the base model draws them", key="draw tags", icon=":material/draw:",
        help="Draws each tag alone and marks those that the base model does not seem to know.",
    ):  # fmt: skip
        st.session_state[_CHECK] = tag_checks.order(workspace(), spec, tags)
        st.rerun(scope="app")
    if check is not None and check.ended and check.problem and check.base == spec.name:
        raise UserError(check.problem)
    ready = [drawings[tag] for tag in dict.fromkeys(tags) if tag in drawings]
    if not ready:
        return
    with st.container(horizontal=True, key="tag-drawings"):
        for drawing in ready:
            mark = "" if drawing.is_known else ":material/help: "
            st.image(str(folder / drawing.file), mark + markup.plain(drawing.tag), width=96)
    unknown = [drawing.tag for drawing in ready if not drawing.is_known]
    if unknown:
        st.warning(
            f"The base model does not seem to know {markup.plain(', '.join(unknown))}: a made-up word changes the "
            "drawing just as much. Training teaches such a word from scratch; a known one often serves better.",
            icon=":material/help:",
        )
    elif not missing:
        st.caption("The base model seems to know every tag.")


def _make(upload: Any, name: str, caption: str, base: str) -> None:
    if upload is None:
        raise UserError("picture: there is none yet; drop one onto the field or browse for a file")
    if not name:
        raise UserError("name: it is empty; name the project, for example after its subject")
    with uploads.as_file(upload) as path:
        made = projects.create(workspace(), name, path, caption, base)
    for key in [key for key in st.session_state if str(key).startswith("new ")]:
        del st.session_state[key]
    links.choose_project(made.name)
    links.go("generations")
