"""Settings: the sections of project.toml as fields, built from the pydantic models that validate the file."""

from typing import Any

import streamlit as st
from pydantic import BaseModel

from bootstrap.catalog import generations, picks
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_text
from bootstrap.loop import work_left
from bootstrap.models import specs
from bootstrap.project import conflicts, editing, template
from bootstrap.project.projects import Project
from review_app import drafts
from review_app.components import markup, setting_fields, training_groups
from review_app.pages import project_changes, training_presets
from review_app.workspace import catalog_of

_TITLES = {"project": "Project", "training": "Training", "drawing": "Drawing", "dedupe": "Duplicates",
           "curation": "Curation"}  # fmt: skip
_NOTES = {
    "training": "How the LoRA is trained, with kohya's names. Clear a field to restore its default.",
    "drawing": "What all shots share, with AUTOMATIC1111's names. Clear a field to restore its default.",
    "dedupe": "When two pictures count as duplicates.",
    "curation": "What is measured on candidates, and which of them are published.",
}
_SAVED = "settings saved"
_WORK = "what the settings come to"
_DISCARDED = "drafts discarded"


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Settings")
    sections = [name for name in type(project.settings).model_fields if name != "recipe"]
    titles = [_TITLES.get(name, name.capitalize()) for name in sections]
    saved = st.session_state.pop(_SAVED, None)
    if saved:
        st.toast(markup.plain(saved), icon=":material/check:")
    for tab, title, name in zip(st.tabs(titles), titles, sections, strict=True):
        with tab:
            drafts.note(project, f"Settings, {title}", _section(project, name))
    st.caption(f"File: {markup.plain(str(project.toml))}")
    with st.expander("Rename or delete the project", icon=":material/drive_file_rename_outline:"):
        project_changes.show(project)


def _section(project: Project, name: str) -> list[str]:
    """Show a section's fields with what is not saved yet; return the labels of the changed ones."""
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
    # The fields show what the file has: when that changes, here or elsewhere, new fields replace them. The number is
    # that of the drafts thrown away.
    version = sha256_of_text(section.model_dump_json())[:12]
    discarded = f"{_DISCARDED} {project.name} {name}"
    key = f"{project.name} {version} {st.session_state.get(discarded, 0)} {name}"
    if name in _NOTES:
        st.caption(_NOTES[name])
    if name == "training":
        saved = training_presets.show(project)
        if saved:
            st.session_state[_SAVED] = saved
            st.rerun()
    # Not a form: its edits stay in the browser until they are sent, and are lost with the page.
    changes: dict[str, Any] = {}
    problem, edit = "", None
    try:
        changes = _changed(fields, key) if name == "training" else setting_fields.changed(fields, key)
        if changes or name == "training":
            edit = editing.edited(project, {f"{name}.{one}": value for one, value in changes.items()})
    except UserError as error:
        problem = str(error).removeprefix(f"{project.toml}: ")
    labels = [field.label for field in fields if field.name in changes]
    # Never disabled: whoever clicks right after typing would click before the page knows of the change.
    with st.container(horizontal=True, vertical_alignment="center", key=f"save {name}"):
        # Not a callback: its arguments would come from the previous script run, without the latest input.
        pressed = st.button(
            "Save", key=f"save settings {name}", type="primary", icon=":material/save:",
        )  # fmt: skip
        st.button(
            "Discard", key=f"discard settings {name}", type="tertiary", on_click=_discard, args=(discarded,),
        )  # fmt: skip
        if labels and not problem:
            st.caption(f":material/edit: Not saved yet: {markup.plain(', '.join(labels))}")
    if edit is not None and not problem and (changes or name == "training"):
        training, stale = _work(project, edit)
        if name == "training" and training:
            st.caption(f":material/timer: {markup.plain(training)}")
        for line in stale:
            st.warning(markup.plain(f"{line[:1].upper()}{line[1:]}."), icon=":material/history:")
    if problem:
        st.error(markup.plain(problem), icon=":material/error:")
    elif pressed:
        if edit is not None and changes:
            edit.save()
        what = f"Saved: {', '.join(changes)}. The next run uses this." if changes else "Nothing has changed."
        if edit is not None and changes:
            what = " ".join([what, *conflicts.notes(*edit.project.settings_and_base)])
        st.session_state[_SAVED] = what
        st.rerun()
    return labels or (["a value that is not valid"] if problem else [])


def _changed(fields: list[setting_fields.Setting], key: str) -> dict[str, Any]:
    """Show the training settings in groups; return the changed ones.

    Raises:
        UserError: see setting_fields.changed.
    """
    changes: dict[str, Any] = {}
    problems = []
    for title, settings in training_groups.grouped(fields).items():
        st.subheader(title, anchor=False)
        try:
            changes |= setting_fields.changed(settings, key)
        except UserError as error:  # the groups after it are shown all the same
            problems.append(error)
    if problems:
        raise problems[0]
    return changes


def _work(project: Project, edit: editing.Edit) -> tuple[str, list[str]]:
    """Return the steps and time of the training with these settings, and what the change makes stale.

    As `sid plan` and `sid set` say it; reckoned once for each version of the settings and of the dataset.
    """
    catalog = catalog_of(project)
    dataset = [(pick.candidate_id, pick.caption) for pick in picks.picks(catalog, project.name)]
    latest = [(status.number, status.state) for status in generations.statuses(catalog, project.name)[-1:]]
    version = sha256_of_text(f"{project.toml} {project.settings!r} {edit.text} {dataset} {latest}")
    known = st.session_state.get(_WORK)
    if known is None or known[0] != version:
        try:
            training = work_left.line(work_left.training_left(edit.project, catalog))
        except (
            UserError
        ):  # a model that is not downloaded yet, or a picture that is missing: a run reports it
            training = ""
        known = (version, training, work_left.of_edit(catalog, project, edit))
        st.session_state[_WORK] = known
    return known[1], known[2]


def _discard(counter: str) -> None:
    st.session_state[counter] = st.session_state.get(counter, 0) + 1
