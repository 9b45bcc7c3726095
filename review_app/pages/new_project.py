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
from bootstrap.training.examples import fitted_size
from review_app import links, tag_checks, uploads, verbs
from review_app.components import base_models, markup
from review_app.tag_checks import Check
from review_app.workspace import workspace

_CHECK = "tags being drawn"
_SUGGESTION = "suggested caption"
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
            _preview(upload, st.session_state.get("new base model") or specs.embedded_names()[0])
    with right:
        suggested = uploads.project_name(upload.name) if upload else ""
        # The key depends on the suggestion, so that another picture suggests another name.
        name = st.text_input("Name", suggested, key=f"new name {suggested}", max_chars=64, placeholder="anna")
        base = base_models.choose("Base model", None, key="new base model")
        suggestion = st.session_state.pop(_SUGGESTION, None)
        if suggestion is not None:  # a field's text can be set only before the field is there
            st.session_state["new caption"] = suggestion
        caption = st.text_area(
            "Caption", key="new caption", height=110, placeholder="woman, red apple, blue blazer, teal wall, window",
            help="Tags separated by commas, the subject first.",
        )  # fmt: skip
        with st.container(key="caption-parts"):  # with room for what appears, so that nothing below moves
            with markup.show_errors():
                _tokens(caption, base)
            if st.button(
                "Suggest a caption", key="suggest caption", icon=":material/auto_awesome:", type="tertiary",
                disabled=upload is None,
                help="A tagger reads the picture, and adds the tags that it sees to the caption.",
            ):  # fmt: skip
                with markup.show_errors():
                    _suggest(upload, caption)
        st.caption(
            "What the caption names can be left out or brought back; the rest sticks to the subject. "
            "Name everything that should be removable."
        )
        # Not a callback: its arguments would come from the previous script run, without the latest input.
        if st.button(
            "Create the project", type="primary", icon=":material/add_photo_alternate:", key="make project"
        ):
            with markup.show_errors():
                _make(upload, name.strip(), caption, base)
        # Below the button, so that what appears while a person reaches for it does not push it aside.
        if captions.without_syntax(caption) and base:
            checks = st.session_state.get(_CHECK)
            busy = checks is not None and not checks.ended
            st.fragment(_drawings, run_every=2 if busy else None)(caption, base, busy)


def _preview(upload: Any, base: str) -> None:
    """Show the picture as the project will keep it: upright, on white, with its sizes."""
    if upload is None:
        return
    preview = st.session_state.get("new preview")
    if preview is None or preview[0] != upload.file_id:
        preview = (upload.file_id, *_read(upload))
        st.session_state["new preview"] = preview
    _, small, size, told = preview
    if small is None:
        raise UserError(told)
    st.image(small, width="stretch")
    st.caption(f"{size[0]}×{size[1]} pixels{told}{_trained_at(base, size)}")


def _trained_at(base: str, size: tuple[int, int]) -> str:
    """Return at what size a project on this base model trains on the picture and draws it, unless that is its own."""
    try:
        spec = specs.find(base, local_only=True)
        geometry = specs.geometry(spec)
    except UserError:  # said where the base model is chosen, once it matters
        return ""
    if geometry is None:
        return ""
    resolution = int(spec.defaults.get("training", {}).get("resolution") or geometry.resolution)
    width, height = fitted_size(size, resolution, geometry.size_step)
    if (width, height) == size:
        return ", trained and drawn at this size"
    return (
        f". Trained and drawn at {width}×{height}: the resolution of {markup.plain(spec.title)} is {resolution}, and "
        "*resolution* under Settings, Training changes it"
    )


def _suggest(upload: Any, caption: str) -> None:
    """Add the tags that a tagger sees in the picture to the caption."""
    tagger = _tagger()
    with st.spinner("Reading the picture's tags", show_time=False), uploads.as_file(upload) as path:
        output, problem = verbs.run_verb(
            workspace(), ["tag", *([f"--tagger={tagger}"] if tagger else []), "--", str(path)]
        )
    if problem:
        raise UserError(f"tagger: {problem}")
    seen = captions.parse(output.strip())
    if not seen:
        raise UserError("tagger: it sees none of its tags in this picture; write the caption yourself")
    st.session_state[_SUGGESTION] = captions.join(captions.with_added(captions.parse(caption), seen))
    st.rerun()


def _tagger() -> str | None:
    """Return the tagger of the workspace's projects; None: Paper Town's own, which knows only its own tags."""
    for name in workspace().project_names():
        try:
            tagger = workspace().project(name).settings.curation.tagger
        except UserError:  # its own pages report it
            continue
        if tagger:
            return tagger
    return None


def _read(upload: Any) -> tuple[Image.Image | None, tuple[int, int], str]:
    """Return a small copy of an upload, its size, and what else to say of it; no picture: why it cannot be used."""
    try:
        with uploads.as_file(upload) as path:
            picture = images.open_picture(path)
            part = ", the first of several frames or pages" if images.has_more_frames(path) else ""
    except UserError as error:
        return None, (0, 0), str(error)
    size = picture.size
    picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    return picture, size, part


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
