"""The field for a base model, the same wherever one is chosen: a list of known ones, into which others are typed."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.project.projects import Project
from review_app.workspace import workspace

HELP = "An embedded model, or the path of a diffusers folder or .safetensors file, or a Hugging Face id."


def choose(label: str, present: str | None, **field: Any) -> str:
    """Show the field, and return the chosen name or path.

    Args:
        label: of the field.
        present: the model that is chosen at first; None: the first of the list.
        field: further arguments of Streamlit's selectbox, such as its key.
    """
    known = _known()
    options = known if present is None or present in known else [present, *known]
    # The help of project.toml describes a setting, not a list with room for more.
    field = {**field, "help": ". ".join(filter(None, (field.get("help"), HELP))).replace("..", ".")}
    chosen = st.selectbox(
        label, options, options.index(present) if present else 0, accept_new_options=True,
        placeholder="Choose or type a base model", **field,
    )  # fmt: skip
    return str(chosen or "").strip()


def _known() -> list[str]:
    """Return the embedded base models, then those of the workspace's projects."""
    used = []
    for name in workspace().project_names():
        project = workspace().project(name)
        try:
            used.append(_of_project(project, project.toml, project.toml.stat().st_mtime_ns))
        except (OSError, UserError):  # its own pages report it
            continue
    return list(dict.fromkeys([*specs.embedded_names(), *sorted(used)]))


@lru_cache(maxsize=1000)
def _of_project(project: Project, _path: Path, _version: int) -> str:
    return project.settings.project.base_model
