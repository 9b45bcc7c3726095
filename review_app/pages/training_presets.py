"""Training settings taken from a preset, another project or a file of kohya's, on the Settings page."""

from typing import Any

import streamlit as st

from bootstrap.errors import UserError
from bootstrap.loop import work_left
from bootstrap.project import editing, kohya_config, presets
from bootstrap.project.kohya_config import Taken
from bootstrap.project.projects import Project
from review_app import uploads
from review_app.components import markup
from review_app.workspace import catalog_of


def show(project: Project) -> str | None:
    """Show what settings can be taken and what that changes; return what was saved, None: nothing."""
    with st.expander("Start from a preset, another project or a file of kohya's", icon=":material/tune:"):
        others = [name for name in project.workspace.project_names() if name != project.name]
        chosen = st.selectbox(
            "Preset or project", [*presets.PRESETS, *others], index=None, format_func=_label, key="preset",
            placeholder="Choose one",
        )  # fmt: skip
        upload = st.file_uploader(
            "Or a configuration: kohya's TOML or JSON, or a project.toml", type=["toml", "json"], key="config"
        )
        try:
            taken = (
                _from_file(upload) if upload else presets.find(project.workspace, chosen) if chosen else None
            )
            if taken is None:
                return None
            edit, _ = editing.assigned(project, [], presets.assignments(taken))
        except UserError as error:
            st.error(markup.plain(str(error)), icon=":material/error:")
            return None
        changes = _changes(project, edit)
        if taken.line:
            st.caption(markup.plain(f"{taken.line[:1].upper()}{taken.line[1:]}."))
        if not changes:
            st.write("These are the settings that the project has.")
            return None
        st.write(markup.plain("; ".join(changes)))
        for line in work_left.of_edit(catalog_of(project), project, edit):
            st.warning(markup.plain(f"{line[:1].upper()}{line[1:]}."), icon=":material/history:")
        if st.button("Take these settings", key="take settings", icon=":material/save:"):
            edit.save()
            return f"Saved: {', '.join(change.partition(' ')[0] for change in changes)}."
    return None


def _label(name: str) -> str:
    preset = presets.PRESETS.get(name)
    return f"{name}: {preset.purpose}" if preset else f"as in {name}"


def _from_file(upload: Any) -> Taken:
    with uploads.as_file(upload) as path:
        return kohya_config.read(path, is_json=upload.name.lower().endswith(".json"))


def _changes(project: Project, edit: editing.Edit) -> list[str]:
    """Return the training settings that change, such as "epochs 6 -> 8"."""
    before, after = (each.settings.training.model_dump() for each in (project, edit.project))
    return [f"{name} {before[name]} -> {after[name]}" for name in after if before[name] != after[name]]
