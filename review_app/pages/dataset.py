"""Dataset: the original and the picks, whose captions can be edited one by one or many at once; and the export."""

from collections.abc import Callable, Collection, Mapping

import streamlit as st

from bootstrap import captions
from bootstrap.catalog import picks
from bootstrap.dataset.retagging import TagEdit, consistency
from bootstrap.errors import UserError, as_machine_errors
from bootstrap.project import running
from bootstrap.project.projects import Project
from review_app import dataset_changes, reviewers
from review_app.components import markup
from review_app.components.caption_editor import caption_editor
from review_app.links import button
from review_app.urls import export_url, original_url
from review_app.workspace import catalog_of

_SAID = "what has changed in the dataset"
_TROUBLE = "why a change of the dataset was not undone"
_ON_A_PAGE = 50  # picks
_ADD, _REMOVE, _REPLACE = "Add tags", "Remove tags", "Replace a tag"
_FORMATS = {"kohya": "kohya_ss: pictures with .txt files", "imagefolder": "Hugging Face: imagefolder"}


def show(project: Project) -> None:
    """Show the page."""
    dataset_picks = picks.picks(catalog_of(project), project.name)
    markup.heading(project.name, f"Dataset of {_pictures(1 + len(dataset_picks))}")
    said = st.session_state.pop(_SAID, None)
    if said:
        st.toast(markup.plain(said), icon=":material/check:")
    trouble = st.session_state.pop(_TROUBLE, None)
    if trouble:
        st.error(markup.plain(trouble), icon=":material/error:")
    _original(project)
    if dataset_picks:
        _captions(project, dataset_picks)
    else:
        with st.container(border=True, key="nothing-yet"):
            st.subheader("No picks yet", anchor=False)
            st.write(
                "Accepted candidates join the dataset when it grows, with their prompts as captions. Until then it "
                "holds only the original."
            )
            button("review", "Review", ":material/playing_cards:")
        if dataset_changes.last(project):
            _undo(project)
    _export(project)


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _captions_in_words(count: int) -> str:
    return "1 caption" if count == 1 else f"{count} captions"


def _original(project: Project) -> None:
    tags = [markup.element("li", tag, class_="sid-tag") for tag in project.settings.project.tags]
    markup.show(
        markup.element(
            "div",
            markup.element("img", src=original_url(project), alt="The original", class_="sid-small"),
            markup.element(
                "div",
                markup.element("h3", "Original"),
                markup.element("ul", *tags, class_="sid-tags sid-left", aria_label="Tags of the original"),
            ),
            class_="sid-entry",
        )
    )


# ---- captions


def _captions(project: Project, dataset_picks: list[picks.Pick]) -> None:
    st.subheader("Picks", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="dataset-bar"):
        wanted = st.text_input(
            "Filter", key="dataset filter", placeholder="Show captions that contain this text",
            label_visibility="collapsed", icon=":material/search:", persist_state="session",
        )  # fmt: skip
        _undo(project)
    shown = [pick for pick in dataset_picks if wanted.strip().casefold() in pick.caption.casefold()]
    if not shown:
        st.info("No caption contains this text.", icon=":material/filter_alt_off:")
        return
    uses = dataset_changes.uses_of(project, dataset_picks)
    pages = -(-len(shown) // _ON_A_PAGE)
    page = 1
    if pages > 1:
        page = st.pagination(pages, key=f"dataset page {project.name}", persist_state="session")
    on_page = shown[(page - 1) * _ON_A_PAGE : page * _ON_A_PAGE]
    chosen = caption_editor(
        project, on_page, uses, running.is_running(project), key=f"captions {project.name}"
    )
    st.caption(
        "Click into a caption to edit it; it is saved when you leave it. The next generation trains on it."
    )
    _batch(project, [pick.candidate_id for pick in shown], list(chosen), uses)
    _worth_a_look(project)


def _undo(project: Project) -> None:
    last = dataset_changes.last(project)
    # A callback, so that of several quick clicks none falls into the second run of the script after a change.
    st.button(
        f"Undo: {last}" if last else "Undo", key="undo dataset", icon=":material/undo:", disabled=not last,
        on_click=_undo_last, args=(project,),
        help="Undoes the last change of the dataset that was made in this app: captions, tags, removed picks.",
    )  # fmt: skip


def _undo_last(project: Project) -> None:
    try:
        with as_machine_errors():
            what = dataset_changes.undo(project, catalog_of(project), _reviewer())
        st.session_state[_SAID] = f"Undone: {what}"
    except UserError as error:
        st.session_state[_TROUBLE] = str(error)


def _batch(project: Project, shown: list[str], chosen: list[str], uses: Mapping[str, int]) -> None:
    """Show what changes many captions at once: the chosen ones, or else all shown."""

    def with_count(tag: str) -> str:
        return f"{tag} ({uses[tag]})" if tag in uses else tag

    known = list(uses)
    with st.container(border=True, key="batch"):
        what = st.segmented_control(
            "Many at once", [_ADD, _REMOVE, _REPLACE], default=_ADD, required=True, key="batch what"
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if what == _ADD:
                added = st.multiselect(
                    "Tags to add at the end", known, key="batch add", format_func=with_count,
                    accept_new_options=True, placeholder="Choose or type tags",
                )  # fmt: skip
                edit = TagEdit(add=tuple(tag for text in added for tag in captions.parse(text)))
            elif what == _REMOVE:
                removed = st.multiselect("Tags to remove", known, key="batch remove", format_func=with_count)
                edit = TagEdit(remove=tuple(removed))
            else:
                old = st.selectbox(
                    "Tag", known, None, key="batch old", placeholder="Choose a tag", format_func=with_count
                )
                new = st.text_input("Replacement", key="batch new", placeholder="one tag or several")
                edit = TagEdit(rename=((old, new),) if old else ())
            which = chosen or shown
            label = f"Apply to the {len(which)} chosen" if chosen else f"Apply to all {len(which)} shown"
            if st.button(label, key="apply batch", icon=":material/done_all:"):
                _retag(project, edit, which)


def _worth_a_look(project: Project) -> None:
    """Show what may be wrong with the captions, each problem with a button that mends it."""
    report = consistency(project, catalog_of(project))
    own = project.settings.project.tags  # the original's tags stay unchanged
    if report.is_clean:
        return
    with st.container(border=True, key="worth-a-look"):
        st.subheader("Worth a look", anchor=False)
        for pair in report.alike:
            rarer, usual = sorted(pair, key=lambda tag: (tag in own, report.uses[tag]))
            first, second = (f"*{markup.plain(tag)}* ({report.uses[tag]})" for tag in (rarer, usual))
            _remedy(
                project, f"{first} and {second} may mean the same.", f"Replace {rarer} with {usual}",
                TagEdit(rename=((rarer, usual),)),
            )  # fmt: skip
        for tag in report.required:
            ids = [candidate_id for candidate_id, missing in report.lacking.items() if tag in missing]
            if ids:
                lacking = f"{_captions_in_words(len(ids))} without *{markup.plain(tag)}*"
                message = f"{lacking}, which every caption should have."
                _remedy(project, message, f"Add {tag}", TagEdit(add=(tag,)), ids)


def _remedy(
    project: Project, message: str, label: str, edit: TagEdit, ids: Collection[str] | None = None
) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(message)
        if st.button(markup.plain(label), key=f"remedy {label}"):
            _retag(project, edit, ids)


def _retag(project: Project, edit: TagEdit, ids: Collection[str] | None) -> None:
    _change(lambda: dataset_changes.retagged(project, catalog_of(project), edit, ids))


def _change(change: Callable[[], str]) -> None:
    """Make a change, and say what is different now in a message that moves nothing."""
    try:
        what = change()
    except UserError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    if what:
        st.session_state[_SAID] = what
        st.rerun()
    st.info("That changes no caption.", icon=":material/info:")


def _reviewer() -> str:
    return reviewers.reviewer_of(st.context.headers)


# ---- export


def _export(project: Project) -> None:
    with st.container(border=True, key="export"):
        st.subheader("Export", anchor=False)
        to_format = st.radio(
            "Format", list(_FORMATS), format_func=lambda name: _FORMATS[name], key="export format",
            label_visibility="collapsed",
        )  # fmt: skip
        # A link to a route of ours: Streamlit forgets the file of its own button when the page's script runs again.
        markup.show(
            markup.element(
                "a", "Download as a zip file", href=export_url(project, str(to_format)), class_="sid-button",
                download=f"{project.name}-{to_format}.zip",
            )
        )  # fmt: skip
