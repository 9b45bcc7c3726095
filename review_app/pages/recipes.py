"""Recipes: what the next run draws, with a count of shots and time that follows while one changes them."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from pydantic import BaseModel

from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.loop import forecast as forecasting
from bootstrap.loop.forecast import Forecast
from bootstrap.project import editing
from bootstrap.project.editing import Edit
from bootstrap.project.projects import Project
from bootstrap.recipes.registry import RECIPES
from review_app.components import markup, setting_fields
from review_app.components.progress import duration
from review_app.workspace import catalog_of

_OPEN = "recipe that is open"  # its number, from 1; 0: the new one
_NEW = 0
_COMMENTS = {
    "count": "Shots to draw. Ideas, strengths and snapshots are taken in turn until there are so many",
    "strength": "Of the LoRA: 1.0 replicates, 0.8 eliminates, 0.6 varies and adds, below 0.5 the base model leads. "
    "One value, several with commas, or { from = 0.5, to = 0.7, step = 0.1 }",
    "snapshot": "The epochs to draw with, several with commas; or auto: the adviser measures them and takes one",
    "negative_prompt": "Beside the one that all shots have",
    "tags": "One a line",
    "prompts": "One a line, taken in turn",
}


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Recipes")
    key = f"{_OPEN} {project.name}"
    opened: int | None = st.session_state.get(key)
    forecast = _forecast(project)
    if forecast is not None:
        _totals(forecast)
    for number, recipe in enumerate(project.settings.recipe, start=1):
        with st.container(border=True, key=f"recipe-{number}"):
            if opened == number:
                _editor(project, number, recipe.kind, recipe)
            else:
                _summary(project, number, recipe, forecast)
    if opened == _NEW:
        with st.container(border=True, key="recipe-new"):
            kind = st.selectbox(
                "Kind",
                list(RECIPES),
                key="new recipe kind",
                format_func=lambda one: f"{one}: {_purpose(one)}",
            )
            _editor(project, _NEW, kind, None)
    else:
        st.button(
            "Add a recipe", key="add recipe", icon=":material/add:", on_click=_open, args=(project, _NEW)
        )


def _forecast(project: Project) -> Forecast | None:
    """What the next run draws; None, and the reason on the page, where that cannot be said."""
    with st.spinner("Counting shots", show_time=False):
        try:
            return forecasting.of_next_run(project, catalog_of(project))
        except UserError as error:
            st.warning(markup.plain(str(error)), icon=":material/warning:")
            return None


def _totals(forecast: Forecast) -> None:
    pairs = [
        ("generation", str(forecast.generation)), ("shots", str(forecast.shots)), ("to draw", str(forecast.missing))
    ]  # fmt: skip
    if forecast.missing:
        pairs += [("drawing takes", _time(forecast)), ("disk", _size(forecast))]
    markup.show(markup.counts(pairs))


def _time(forecast: Forecast) -> str:
    return "unknown yet" if forecast.seconds is None else duration(forecast.seconds)


def _size(forecast: Forecast) -> str:
    size = f"{forecast.disk / 1e6:.3g} MB"
    return size if forecast.disk_measured else f"at most {size}"


def _summary(project: Project, number: int, recipe: BaseModel, forecast: Forecast | None) -> None:
    kind = str(recipe.kind)  # type: ignore[attr-defined]  # each recipe has one
    words, buttons = st.columns([5, 2], vertical_alignment="center")
    with words:
        st.markdown(f"**{markup.plain(kind)}** — {markup.plain(_purpose(kind))}")
        if forecast is not None:
            one = forecast.recipes[number - 1]
            snapshots = "auto" if one.snapshots is None else ", ".join(map(str, one.snapshots))
            strengths = ", ".join(f"{strength:g}" for strength in one.strengths)
            there = f", {one.there} of them there" if one.there else ""
            st.caption(
                f"{one.shots} shots{there} · strength {strengths} · snapshot {snapshots}  \n"
                f"Such as: {markup.plain(one.example)}"
            )
    with buttons, st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Change", key=f"change recipe {number}", on_click=_open, args=(project, number))
        st.button(
            "Remove", key=f"remove recipe {number}", type="tertiary", icon=":material/delete:",
            on_click=_remove, args=(project, number),
        )  # fmt: skip


def _editor(project: Project, number: int, kind: str, recipe: BaseModel | None) -> None:
    """The fields of a recipe; what it comes to follows each change, before anything is saved."""
    if recipe is not None:
        st.markdown(f"**{markup.plain(kind)}** — {markup.plain(_purpose(kind))}")
    settings = [
        one for one in setting_fields.of_model(RECIPES[kind], recipe, {}, _COMMENTS) if one.name != "kind"
    ]
    version = sha256_of_file(project.toml)[:12]
    edit: Edit | None = None
    problem = ""
    try:
        said = setting_fields.changed(settings, f"{project.name} {version} recipe {number} {kind}")
        edit = _edit(project, number, kind, said)
    except UserError as error:
        problem = str(error).removeprefix(f"{project.toml}: ")
    with st.container(horizontal=True):
        # No callback: its arguments would be those of the run before, without what was typed last.
        if st.button("Save", key="save recipe", type="primary", icon=":material/save:") and edit is not None:
            edit.save()
            _close(project)
            st.rerun()
        st.button("Cancel", key="cancel recipe", type="tertiary", on_click=_close, args=(project,))
    # Below the buttons: what comes while one is on the way to them must not push them aside.
    if edit is not None:
        _draft(edit.project, number)
    else:
        st.warning(markup.plain(problem), icon=":material/edit:")


def _edit(project: Project, number: int, kind: str, said: Mapping[str, Any]) -> Edit:
    if number == _NEW:
        return editing.with_recipe(
            project, {"kind": kind, **{name: value for name, value in said.items() if value is not None}}
        )
    return editing.edited(project, {f"recipe[{number}].{name}": value for name, value in said.items()})


def _draft(project: Project, number: int) -> None:
    forecast = _forecast(project)
    if forecast is None:
        return
    mine = forecast.recipes[number - 1]
    there = f", {mine.there} of them there already" if mine.there else ""
    time = f"; drawing takes {_time(forecast)}" if forecast.missing else ""
    st.caption(
        f"This recipe: {mine.shots} shots{there}. "
        f"All recipes: {forecast.shots} shots, {forecast.missing} to draw{time}."
    )
    if mine.example:
        st.caption(f"Such as: {markup.plain(mine.example)}")


def _purpose(kind: str) -> str:
    return RECIPES[kind].purpose()


# ---- the buttons


def _open(project: Project, number: int) -> None:
    st.session_state[f"{_OPEN} {project.name}"] = number


def _close(project: Project) -> None:
    st.session_state.pop(f"{_OPEN} {project.name}", None)


def _remove(project: Project, number: int) -> None:
    try:
        editing.without_recipe(project, number).save()
        _close(project)
    except UserError as error:
        st.toast(markup.plain(str(error)), icon=":material/error:")
