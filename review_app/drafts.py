"""Edits of settings that a person has not saved: kept while the tab is open, and named on all pages."""

from collections.abc import Sequence

import streamlit as st

from bootstrap.project.projects import Project

_DRAFTS = "settings that are not saved"


def note(project: Project, place: str, labels: Sequence[str]) -> None:
    """Note which settings of a project are changed and not saved.

    Args:
        place: where they are, such as "Settings, Training".
        labels: their names; none: there are no drafts here.
    """
    drafts = st.session_state.setdefault(_DRAFTS, {})
    of_project = {**drafts.pop(project.name, {}), place: list(labels)}
    remaining = {where: names for where, names in of_project.items() if names}
    if remaining:
        drafts[project.name] = remaining


def of_project(name: str) -> dict[str, list[str]]:
    """Return the names of a project's settings that are changed and not saved, by place."""
    return dict(st.session_state.get(_DRAFTS, {}).get(name, {}))


def any_project() -> bool:
    """Return whether any project has settings that are changed and not saved."""
    return bool(st.session_state.get(_DRAFTS))
