"""Recipes: what the next run draws; the number of shots and the estimated time follow each edit."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from pydantic import BaseModel

from bootstrap import reading
from bootstrap.errors import UserError, as_machine_errors
from bootstrap.files import sha256_of_text
from bootstrap.loop import forecast as forecasting
from bootstrap.loop.forecast import Forecast, RecipeForecast
from bootstrap.planning.allotment import MOST
from bootstrap.project import editing
from bootstrap.project.editing import Edit
from bootstrap.project.projects import Project
from bootstrap.recipes.registry import RECIPES
from review_app import drafts
from review_app.components import markup, setting_fields
from review_app.components.progress import duration
from review_app.workspace import catalog_of

_OPEN = "recipe that is open"  # its number, from 1; 0: a new one
_REMOVED = "recipe that was removed"  # its kind, project.toml before and after
_EDITS = "recipes opened"  # a number for each, so that an edit that was given up does not come back
_NEW = 0
_COMMENTS = {
    "count": "Number of shots. They take ideas, strengths and snapshots in turn",
    "strength": "Of the LoRA: 1.0 replicates, 0.8 eliminates, 0.6 varies and adds, below 0.5 the base model dominates. "
    "One value, several separated by commas, or { from = 0.5, to = 0.7, step = 0.1 }",
    "snapshot": "Epochs to draw with, separated by commas; or auto: the adviser measures them and chooses one",
    "negative_prompt": "Added to the negative prompt of all shots",
    "tags": "One per line",
    "prompts": "One per line, taken in turn",
}
_ADAPTIVE = (
    "Later generations draw more of the recipes, strengths, snapshots and tags that became picks. "
    "The same switch as adaptive under Settings, Curation."
)


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Recipes")
    key = f"{_OPEN} {project.name}"
    opened: int | None = st.session_state.get(key)
    with st.container(key="recipe-totals"):  # as high as what comes, so that nothing moves
        forecast = _forecast(project)
        if forecast is not None:
            _totals(forecast)
    _plan(project, forecast)
    _undo_removal(project)
    drafts.note(project, "Recipes", [])
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
                format_func=lambda name: f"{name}: {_purpose(name)}",
            )
            _editor(project, _NEW, kind, None)
    else:
        st.button(
            "Add a recipe", key="add recipe", icon=":material/add:", on_click=_open, args=(project, _NEW)
        )


def _forecast(project: Project) -> Forecast | None:
    """Return what the next run draws, or show on the page why it cannot be forecast and return None."""
    with st.spinner("Counting shots", show_time=False):
        try:
            return forecasting.of_next_run(project, catalog_of(project))
        except UserError as error:
            st.warning(markup.plain(str(error)), icon=":material/warning:")
            return None


def _totals(forecast: Forecast) -> None:
    asked = sum(recipe.count for recipe in forecast.recipes)
    pairs = [("generation", str(forecast.generation)), ("asked for", str(asked)), ("shots", str(forecast.shots)),
             ("to draw", str(forecast.missing))]  # fmt: skip
    if forecast.missing:
        pairs += [("drawing takes", _time(forecast)), ("disk", _size(forecast))]
    markup.show(markup.counts(pairs))


def _plan(project: Project, forecast: Forecast | None) -> None:
    """Say what the adaptive plan makes of the recipes, with the switch that turns it off."""
    is_on = project.settings.curation.adaptive
    key = f"adaptive {project.name} {is_on}"
    with st.container(key="adaptive-plan"):
        wanted = st.toggle("Adaptive plan: draw more of what became picks", is_on, key=key, help=_ADAPTIVE)
        if wanted != is_on:
            editing.edited(project, {"curation.adaptive": wanted}).save()
            st.rerun()
        if forecast is None:
            return
        if not is_on:
            st.caption("Switched off: each recipe draws what it asks for.")
        elif any(recipe.arms for recipe in forecast.recipes):
            st.caption(
                "The plan shares the same number of shots out anew: a quarter of each recipe's count is certain, the "
                f"rest follows the verdicts so far, up to {MOST:g} times the count. Switched off here, or with "
                "*adaptive* under Settings, Curation, each recipe draws exactly what it asks for."
            )
        else:
            st.caption("There are no verdicts to learn from yet: each recipe draws what it asks for.")


def _planned(expected: RecipeForecast) -> str:
    """Say why a recipe draws another number of shots than it asks for; an empty text: it does not."""
    if expected.arms:
        odds = expected.arms[0].odds
        tried = f"{odds.picks} of {odds.spent} earlier shots became picks" if odds.spent else "not tried yet"
        return f"{expected.count} asked for, the adaptive plan gives {expected.arms[0].shots}: {tried}"
    return ""


def _same_as_before(expected: RecipeForecast) -> str:
    planned = expected.arms[0].shots if expected.arms else expected.count
    repeated = planned - expected.shots
    return f"{repeated} are the same as shots of a recipe above" if repeated > 0 else ""


def _shares(expected: RecipeForecast) -> None:
    """Show how the plan shares a recipe's shots out among its strengths, snapshots and ideas."""
    if len(expected.arms) < 2:
        return
    rows = [
        [
            arm.label,
            str(arm.shots),
            f"{arm.odds.picks} of {arm.odds.spent}" if arm.odds.spent else "not tried yet",
        ]
        for arm in expected.arms[1:]
    ]
    with st.expander("How the plan shares them out"):
        markup.show(markup.table(["What", "Shots", "Picks so far"], rows))


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
            expected = forecast.recipes[number - 1]
            snapshots = "auto" if expected.snapshots is None else ", ".join(map(str, expected.snapshots))
            strengths = ", ".join(f"{strength:g}" for strength in expected.strengths)
            st.caption(
                f"{expected.shots} shots{_already_drawn(expected.there)} · strength {strengths} · "
                f"snapshot {snapshots}  \nExample: {markup.plain(expected.example)}"
            )
            for why in filter(None, (_planned(expected), _same_as_before(expected))):
                st.caption(f":material/balance: {why}")
            _shares(expected)
    with buttons, st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Change", key=f"change recipe {number}", on_click=_open, args=(project, number))
        st.button(
            "Remove", key=f"remove recipe {number}", type="tertiary", icon=":material/delete:",
            on_click=_remove, args=(project, number),
        )  # fmt: skip


def _editor(project: Project, number: int, kind: str, recipe: BaseModel | None) -> None:
    """Show a recipe's fields, and below them its forecast, which follows each change before anything is saved."""
    if recipe is not None:
        st.markdown(f"**{markup.plain(kind)}** — {markup.plain(_purpose(kind))}")
    settings = [
        setting
        for setting in setting_fields.of_model(RECIPES[kind], recipe, {}, _COMMENTS)
        if setting.name != "kind"
    ]
    version = sha256_of_text(recipe.model_dump_json() if recipe is not None else kind)[:12]
    version += f" {st.session_state.get(f'{_EDITS} {project.name}', 0)}"
    edit: Edit | None = None
    problem = ""
    try:
        values = setting_fields.changed(settings, f"{project.name} {version} recipe {number} {kind}")
        drafts.note(project, "Recipes", [setting.label for setting in settings if setting.name in values])
        edit = _edit(project, number, kind, values)
    except UserError as error:
        problem = str(error).removeprefix(f"{project.toml}: ")
    with st.container(horizontal=True):
        # Not a callback: its arguments would come from the previous script run, without the latest input.
        if st.button("Save", key="save recipe", type="primary", icon=":material/save:") and edit is not None:
            edit.save()
            _close(project)
            drafts.note(project, "Recipes", [])
            st.rerun()
        st.button("Cancel", key="cancel recipe", type="tertiary", on_click=_close, args=(project,))
    # Below the buttons, so that what appears while a person reaches for them does not push them aside.
    if edit is not None:
        _draft(edit.project, number)
    else:
        st.warning(markup.plain(problem), icon=":material/edit:")


def _edit(project: Project, number: int, kind: str, values: Mapping[str, Any]) -> Edit:
    if number == _NEW:
        return editing.with_recipe(
            project, {"kind": kind, **{name: value for name, value in values.items() if value is not None}}
        )
    return editing.edited(project, {f"recipe[{number}].{name}": value for name, value in values.items()})


def _draft(project: Project, number: int) -> None:
    forecast = _forecast(project)
    if forecast is None:
        return
    expected = forecast.recipes[number - 1]
    time = f"; drawing takes {_time(forecast)}" if forecast.missing else ""
    st.caption(
        f"This recipe: {expected.shots} shots{_already_drawn(expected.there)}. "
        f"All recipes: {forecast.shots} shots, {forecast.missing} to draw{time}."
    )
    for why in filter(None, (_planned(expected), _same_as_before(expected))):
        st.caption(f":material/balance: {why}.")
    if expected.example:
        st.caption(f"Example: {markup.plain(expected.example)}")


def _already_drawn(count: int) -> str:
    return f", {count} already drawn" if count else ""


def _purpose(kind: str) -> str:
    return RECIPES[kind].purpose()


# ---- the buttons


def _open(project: Project, number: int) -> None:
    st.session_state[f"{_OPEN} {project.name}"] = number


def _close(project: Project) -> None:
    st.session_state.pop(f"{_OPEN} {project.name}", None)
    edits = f"{_EDITS} {project.name}"
    st.session_state[edits] = st.session_state.get(edits, 0) + 1


def _remove(project: Project, number: int) -> None:
    try:
        with as_machine_errors():
            before = reading.text_file(project.toml, str(project.toml), reading.MOST_BYTES_OF_TOML)
            kind = project.settings.recipe[number - 1].kind
            edit = editing.without_recipe(project, number)
            edit.save()
        st.session_state[f"{_REMOVED} {project.name}"] = (kind, before, edit.text)
        _close(project)
    except UserError as error:
        st.toast(markup.plain(str(error)), icon=":material/error:")


def _undo_removal(project: Project) -> None:
    """Offer to bring back the recipe that was removed last."""
    removed = st.session_state.get(f"{_REMOVED} {project.name}")
    if removed is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="removed-recipe"):
        st.markdown(f"The recipe **{markup.plain(removed[0])}** is removed.")
        st.button("Undo", key="undo removal", icon=":material/undo:", on_click=_put_back, args=(project,))


def _put_back(project: Project) -> None:
    _, before, after = st.session_state.pop(f"{_REMOVED} {project.name}")
    try:
        with as_machine_errors():
            editing.with_text(project, before, after).save()
    except UserError as error:
        st.toast(markup.plain(str(error)), icon=":material/error:")
