"""Settings: the sections of project.toml as forms, built from the pydantic models that validate the file."""

from typing import Any

import streamlit as st
from pydantic import BaseModel

from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models import specs
from bootstrap.project import conflicts, editing, template
from bootstrap.project.projects import Project
from review_app.components import markup, setting_fields
from review_app.pages import project_changes

_TITLES = {"project": "Project", "training": "Training", "drawing": "Drawing", "dedupe": "Duplicates",
           "curation": "Curation"}  # fmt: skip
_NOTES = {
    "training": "How the LoRA is trained, with kohya's names. Clear a field to restore its default.",
    "drawing": "What all shots share, with AUTOMATIC1111's names. Clear a field to restore its default.",
    "dedupe": "When two pictures count as duplicates.",
    "curation": "What is measured on candidates, and which of them are shown for review.",
}
_SAVED = "settings saved"


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Settings")
    # The fields show the file's content: when the file changes, here or elsewhere, new fields replace them.
    version = sha256_of_file(project.toml)[:12]
    sections = [name for name in type(project.settings).model_fields if name != "recipe"]
    titles = [_TITLES.get(name, name.capitalize()) for name in sections]
    for tab, name in zip(st.tabs(titles), sections, strict=True):
        with tab:
            _section(project, name, version)
    st.caption(f"File: {markup.plain(str(project.toml))}")
    with st.expander("Rename or delete the project", icon=":material/drive_file_rename_outline:"):
        project_changes.show(project)


def _section(project: Project, name: str, version: str) -> None:
    section: BaseModel = getattr(project.settings, name)
    comments = {
        key.partition(".")[2]: text for key, text in template.comments().items() if key.startswith(f"{name}.")
    }
    family = specs.family(project.base_model)
    fixed = family.fixed.get(name, {}) if family is not None else {}
    fields = [
        field
        for field in setting_fields.of_model(
            type(section), section, project.base_model.defaults.get(name, {}), comments
        )
        if field.name not in fixed  # the base model leaves no choice
    ]
    with st.form(f"settings {name}", border=False):
        if name in _NOTES:
            st.caption(_NOTES[name])
        changes: dict[str, Any] = {}
        unreadable = ""
        try:
            changes = setting_fields.changed(fields, f"{project.name} {version} {name}")
        except UserError as error:
            unreadable = str(error)
        if st.form_submit_button("Save", type="primary", icon=":material/save:"):
            _save(project, {f"{name}.{key}": value for key, value in changes.items()}, unreadable)
    saved = st.session_state.pop(f"{_SAVED} {name}", None)
    if saved:
        st.success(markup.plain(saved), icon=":material/check:")


def _save(project: Project, values: dict[str, Any], unreadable: str) -> None:
    try:
        if unreadable:
            raise UserError(unreadable)
        edit = editing.edited(project, values)
        edit.save()
    except UserError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    section = next(iter(values), "").partition(".")[0]
    if section:
        names = ", ".join(key.partition(".")[2] for key in values)
        st.session_state[f"{_SAVED} {section}"] = " ".join(
            [f"Saved: {names}. The next run uses this.", *conflicts.notes(*edit.project.settings_and_base)]
        )
        st.rerun()
    st.info("Nothing has changed.", icon=":material/info:")
