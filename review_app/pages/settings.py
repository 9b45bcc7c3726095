"""Settings: the sections of project.toml as forms, made from the models that check it."""

from typing import Any

import streamlit as st
from pydantic import BaseModel

from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.project import editing, template
from bootstrap.project.projects import Project
from review_app.components import markup, setting_fields

_TITLES = {"project": "Project", "training": "Training", "drawing": "Drawing", "dedupe": "Duplicates",
           "curation": "Curation"}  # fmt: skip
_NOTES = {
    "training": "Of the LoRA, in kohya's words. Clear a field to get its default back.",
    "drawing": "What all shots have in common, in AUTOMATIC1111's words. Clear a field to get its default back.",
    "dedupe": "When two pictures are the same picture.",
    "curation": "What is measured of candidates, and which of them are put up.",
}
_SAVED = "settings saved"


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Settings")
    # It is the file's own content that the fields show: when it changes, by whatever hand, they are made anew.
    version = sha256_of_file(project.toml)[:12]
    sections = [name for name in type(project.settings).model_fields if name != "recipe"]
    titles = [_TITLES.get(name, name.capitalize()) for name in sections]
    for tab, name in zip(st.tabs(titles), sections, strict=True):
        with tab:
            _section(project, name, version)
    st.caption(f"File: {markup.plain(str(project.toml))}")


def _section(project: Project, name: str, version: str) -> None:
    section: BaseModel = getattr(project.settings, name)
    comments = {
        key.partition(".")[2]: text for key, text in template.comments().items() if key.startswith(f"{name}.")
    }
    fields = setting_fields.of_model(
        type(section), section, project.base_model.defaults.get(name, {}), comments
    )
    with st.form(f"settings {name}", border=False):
        if name in _NOTES:
            st.caption(_NOTES[name])
        said: dict[str, Any] = {}
        unreadable = ""
        try:
            said = setting_fields.changed(fields, f"{project.name} {version} {name}")
        except UserError as error:
            unreadable = str(error)
        if st.form_submit_button("Save", type="primary", icon=":material/save:"):
            _save(project, {f"{name}.{key}": value for key, value in said.items()}, unreadable)
    saved = st.session_state.pop(f"{_SAVED} {name}", None)
    if saved:
        st.success(markup.plain(saved), icon=":material/check:")


def _save(project: Project, values: dict[str, Any], unreadable: str) -> None:
    try:
        if unreadable:
            raise UserError(unreadable)
        editing.edited(project, values).save()
    except UserError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    section = next(iter(values), "").partition(".")[0]
    if section:
        names = ", ".join(key.partition(".")[2] for key in values)
        st.session_state[f"{_SAVED} {section}"] = f"Saved: {names}. The next run takes it."
        st.rerun()
    st.info("Nothing was changed.", icon=":material/info:")
