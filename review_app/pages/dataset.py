"""Dataset: the original and the picks, whose captions can be edited one by one or many at once; and the export."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import streamlit as st

from bootstrap import captions
from bootstrap.catalog import picks
from bootstrap.dataset import exporting, growth
from bootstrap.dataset.retagging import TagEdit, consistency, retag
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_text
from bootstrap.project.projects import Project
from review_app.components import markup
from review_app.links import button
from review_app.routes import original_url, thumbnail_url
from review_app.workspace import catalog_of

_SAVED = "captions saved"
_ROW_HEIGHT = 84  # pixels
_MOST_ROWS = 8  # rows visible without scrolling
_ADD, _REMOVE, _REPLACE = "Add tags", "Remove tags", "Replace a tag"
_FORMATS = {"kohya": "kohya_ss: pictures with .txt files", "imagefolder": "Hugging Face: imagefolder"}


def show(project: Project) -> None:
    """Show the page."""
    dataset_picks = picks.picks(catalog_of(project), project.name)
    markup.heading(project.name, f"Dataset of {_pictures(1 + len(dataset_picks))}")
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
    saved = st.session_state.pop(_SAVED, None)
    if saved:
        st.toast(saved, icon=":material/check:")
    st.subheader("Picks", anchor=False)
    wanted = st.text_input(
        "Filter", key="dataset filter", placeholder="Show captions that contain this text",
        label_visibility="collapsed", icon=":material/search:", persist_state="session",
    )  # fmt: skip
    visible = [pick for pick in dataset_picks if wanted.strip().casefold() in pick.caption.casefold()]
    if not visible:
        st.info("No caption contains this text.", icon=":material/filter_alt_off:")
        return
    rows = _table(project, visible)
    typed = {pick.candidate_id: str(row["caption"] or "") for pick, row in zip(visible, rows, strict=True)}
    chosen = [pick.candidate_id for pick, row in zip(visible, rows, strict=True) if row["chosen"]]
    changed = {
        pick.candidate_id: typed[pick.candidate_id]
        for pick in visible
        if typed[pick.candidate_id] != pick.caption
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        label = f"Save {_captions_in_words(len(changed))}" if changed else "Save"
        if st.button(
            label,
            key="save captions",
            type="primary" if changed else "secondary",
            icon=":material/save:",
            disabled=not changed,
        ):
            _save(project, changed)
        st.caption("Click a caption to edit it. The next generation trains on the saved captions.")
    _batch(project, typed, chosen)
    _worth_a_look(project)


def _table(project: Project, visible: list[picks.Pick]) -> list[dict[str, Any]]:
    """Show the picks as an editable table; return its rows with the edits so far."""
    rows = [
        {"chosen": False, "picture": thumbnail_url(project, pick.candidate_id), "caption": pick.caption}
        for pick in visible
    ]
    # Changed captions get a new table, so that Streamlit does not apply earlier edits to them.
    version = sha256_of_text("\n".join(pick.candidate_id + pick.caption for pick in visible))[:12]
    edited: list[dict[str, Any]] = st.data_editor(
        rows,
        key=f"captions {project.name} {version}",
        hide_index=True,
        row_height=_ROW_HEIGHT,
        height=min(len(rows), _MOST_ROWS) * _ROW_HEIGHT + 40,
        disabled=["picture"],
        column_config={
            "chosen": st.column_config.CheckboxColumn("Choose", width=70),
            "picture": st.column_config.ImageColumn("Picture", width=100),
            "caption": st.column_config.TextColumn("Caption", width="large", required=True),
        },
    )
    return edited


def _batch(project: Project, typed: Mapping[str, str], chosen: list[str]) -> None:
    with st.container(border=True, key="batch"):
        what = st.segmented_control(
            "Many at once", [_ADD, _REMOVE, _REPLACE], default=_ADD, required=True, key="batch what"
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            known = sorted(
                {tag for caption in typed.values() for tag in captions.parse(caption)}, key=str.casefold
            )
            if what == _ADD:
                tags = st.text_input("Tags to add at the end", key="batch add", placeholder="outdoors, smile")
                edit = TagEdit(add=tuple(captions.parse(tags)))
            elif what == _REMOVE:
                edit = TagEdit(remove=tuple(st.multiselect("Tags to remove", known, key="batch remove")))
            else:
                old = st.selectbox("Tag", known, None, key="batch old", placeholder="Choose a tag")
                new = st.text_input("Replacement", key="batch new", placeholder="one tag or several")
                edit = TagEdit(rename=((old, new),) if old else ())
            which = chosen or list(typed)
            label = f"Apply to the {len(which)} chosen" if chosen else f"Apply to all {len(which)} shown"
            if st.button(label, key="apply batch", icon=":material/done_all:"):
                _save(
                    project,
                    {
                        candidate_id: captions.join(edit.of(captions.parse(typed[candidate_id])))
                        for candidate_id in which
                    },
                )


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
            _change(lambda: retag(project, catalog_of(project), edit, ids))


def _save(project: Project, changed: Mapping[str, str]) -> None:
    _change(lambda: growth.recaption(project, catalog_of(project), changed))


def _change(captions_changed: Callable[[], int]) -> None:
    """Change captions, and report how many are different now."""
    try:
        count = captions_changed()
    except UserError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    if count:
        st.session_state[_SAVED] = f"{_captions_in_words(count)} saved"
        st.rerun()
    st.info("That changes no caption.", icon=":material/info:")


# ---- export


def _export(project: Project) -> None:
    with st.container(border=True, key="export"):
        st.subheader("Export", anchor=False)
        to_format = st.segmented_control(
            "Format", list(_FORMATS), default="kohya", required=True, format_func=lambda name: _FORMATS[name],
            key="export format", label_visibility="collapsed",
        )  # fmt: skip
        st.download_button(
            "Download as a zip file",
            _packing(project, str(to_format)),
            file_name=f"{project.name}-{to_format}.zip",
            mime="application/zip",
            key="download",
            icon=":material/download:",
            on_click="ignore",
        )


def _packing(project: Project, to_format: str) -> Callable[[], bytes]:
    return lambda: exporting.zipped(project, catalog_of(project), to_format)
