"""A form field for each setting, built from the pydantic model that validates `project.toml`."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import streamlit as st
import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.recipes.setting_types import Snapshots, Strengths
from review_app.components import base_models

_LONG_TEXTS = ("caption", "negative_prompt")
_ABBREVIATIONS = {"unet": "UNet", "lr": "LR", "cfg": "CFG", "clip": "CLIP", "snr": "SNR"}
_SPANS = (get_args(Strengths)[0], get_args(Snapshots)[0])


@dataclass(frozen=True)
class Setting:
    """One setting as a form shows it."""

    name: str
    field: FieldInfo
    value: Any  # the present value
    default: Any  # the value without a line in the file; None: there is none, or the setting is required
    comment: str = ""

    @property
    def label(self) -> str:
        """The name, in words."""
        words = [_ABBREVIATIONS.get(word, word) for word in self.name.split("_")]
        return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])

    @property
    def help(self) -> str | None:
        """What the file's comment says, and the default."""
        sentences = [self.comment[:1].upper() + self.comment[1:]] if self.comment else []
        low, high = _limits(self.field)
        if low is not None and high is not None:
            sentences.append(f"From {low:g} to {high:g}")
        if self.default not in (None, "", []):
            sentences.append(f"Default: {_as_text(self.default)}")
        # Streamlit's tooltips are Markdown; these texts are ours and contain only a few of its characters.
        return ". ".join(sentences).replace("`", "").replace("_", "\\_").replace("*", "\\*") or None


def changed(settings: Sequence[Setting], key: str) -> dict[str, Any]:
    """Show a field for each setting, two in a row; return the settings that were changed.

    Args:
        settings: what to show.
        key: prefix of the fields' keys; a new prefix makes new fields with the present values.

    Returns:
        New values by name; None restores the default.

    Raises:
        UserError: an input cannot be parsed; the message names the setting.
    """
    changes = {}
    problems: list[UserError] = []
    for first in range(0, len(settings), 2):
        row = settings[first : first + 2]
        has_switch = any(
            _kind(setting.field.annotation)[0] == "bool" for setting in row
        )  # a switch has no label above it
        columns = st.columns(2, gap="medium", vertical_alignment="center" if has_switch else "top")
        for column, setting in zip(columns, row, strict=False):
            with column:
                try:
                    value = _field(setting, f"{key} {setting.name}")
                except UserError as error:  # the fields after it are shown all the same
                    problems.append(error)
                    continue
            if value != setting.value:
                changes[setting.name] = value
    if problems:
        raise problems[0]
    return changes


def of_model(
    model: type[BaseModel], values: BaseModel | None, defaults: Mapping[str, Any], comments: Mapping[str, str]
) -> list[Setting]:
    """Return the settings of a section, or of a recipe.

    Args:
        model: the pydantic model that validates them.
        values: the present values; None: a section or recipe that does not exist yet.
        defaults: the base model's defaults by name, which override the model's own.
        comments: help texts by the setting's name.
    """
    settings = []
    for name, field in model.model_fields.items():
        own = None if field.is_required() else field.get_default(call_default_factory=True)
        default = defaults.get(name, own)
        value = getattr(values, name) if values is not None else default
        settings.append(Setting(name, field, _plain(value), _plain(default), comments.get(name, "")))
    return settings


def _field(setting: Setting, key: str) -> Any:
    """Show the field; return its value."""
    kind, options = _kind(setting.field.annotation)
    shared: dict[str, Any] = {"key": key, "help": setting.help, "persist_state": "session"}
    if setting.name == "base_model":
        return base_models.choose(setting.label, setting.value, **shared)
    if kind == "bool":
        return st.toggle(setting.label, bool(setting.value), **shared)
    if kind == "choice":
        return st.selectbox(
            setting.label, options, options.index(setting.value) if setting.value in options else None,
            placeholder="The base model's default", **shared,
        )  # fmt: skip
    if kind in ("int", "float"):
        return _number(setting, kind, shared)
    if kind == "text":
        put = st.text_area if setting.name in _LONG_TEXTS else st.text_input
        text = put(setting.label, setting.value or "", placeholder=_placeholder(setting), **shared).strip()
        return text if text or (isinstance(setting.value, str) and not _is_optional(setting.field)) else None
    if kind == "texts":
        lines = st.text_area(
            setting.label, "\n".join(setting.value or []), placeholder="One per line", height=110, **shared
        )
        return [line.strip() for line in lines.splitlines() if line.strip()]
    if kind == "span":
        return _span(setting, st.text_input(setting.label, _span_text(setting.value), **shared))
    text = st.text_area(
        setting.label, _toml(setting.value), placeholder="As in project.toml", height=110, **shared
    )
    return _read_toml(setting, text) if text.strip() else None


def _number(setting: Setting, kind: str, shared: Mapping[str, Any]) -> Any:
    # Without the field's own limits: beyond them it only turns red, and nobody learns what is wrong. The model of the
    # settings checks the number, and says it.
    whole = kind == "int"
    number = int if whole else float
    step: float = 1 if whole else _step(setting.value if setting.value is not None else setting.default)
    # The value goes through the session, because a field that is given a value directly cannot be cleared.
    if shared["key"] not in st.session_state and setting.value is not None:
        st.session_state[shared["key"]] = number(setting.value)
    value = st.number_input(
        setting.label, value=None, step=number(step), format="%d" if whole else "%g", placeholder=_placeholder(setting),
        **shared,
    )  # fmt: skip
    return value if value is None else number(value)


def _step(value: float | None) -> float:
    """Return a step of about a tenth of the value, because rates are small and scales are not."""
    if not value:
        return 0.05
    return (
        0.05
        if 0.05 < value < 1
        else 10.0 ** (len(str(int(value))) - 2 if value >= 1 else _decimals(value) - 1)
    )


def _decimals(value: float) -> int:
    return int(f"{value:e}".split("e")[1])


def _kind(annotation: Any) -> tuple[str, list[Any]]:
    """Return the kind of field for an annotation, and its options if it is a choice."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation in _SPANS:
        return "span", []
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return _kind(inner[0]) if len(inner) == 1 else ("toml", [])
    if get_origin(annotation) is Literal:
        return "choice", list(get_args(annotation))
    if get_origin(annotation) is list:
        [part] = get_args(annotation)
        return ("texts", []) if _kind(part)[0] == "text" else ("toml", [])
    known = {bool: "bool", int: "int", float: "float", str: "text"}
    return known.get(annotation, "toml"), []


def _is_optional(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _limits(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the least and the greatest value, exclusive limits included; None: there is none."""
    parts = [*field.metadata]
    for inner in (field.annotation, *get_args(field.annotation)):
        if get_origin(inner) is Annotated:
            for part in get_args(inner)[1:]:
                parts += part.metadata if isinstance(part, FieldInfo) else [part]
    low: Any = None
    high: Any = None
    for part in parts:
        if isinstance(part, annotated_types.Ge):
            low = part.ge
        elif isinstance(part, annotated_types.Gt):
            low = part.gt
        elif isinstance(part, annotated_types.Le):
            high = part.le
        elif isinstance(part, annotated_types.Lt):
            high = part.lt
    return low, high


def _placeholder(setting: Setting) -> str:
    return "" if setting.default in (None, "", []) else _as_text(setting.default)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _span_text(value: Any) -> str:
    return "" if value is None else _as_text(value)


def _span(setting: Setting, text: str) -> Any:
    """Parse `0.6, 0.7`, `auto`, or a range as written in project.toml."""
    text = text.strip()
    if not text:
        return None
    if text == _span_text(setting.value):
        return setting.value
    if text.strip('"') == "auto":
        return "auto"
    return _read_toml(setting, text if text.startswith(("{", "[")) else f"[{text}]")


def _toml(value: Any) -> str:
    """Return a value as TOML, a list of tables with one table per line."""
    if value is None:
        return ""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = ",\n".join(_inline(row) for row in value)
        return f"[\n{rows},\n]"
    return _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{name} = {_inline(part)}" for name, part in value.items() if part is not None)
        return f"{{ {pairs} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomlkit.item(value).as_string()


def _read_toml(setting: Setting, text: str) -> Any:
    try:
        return reading.parse_toml(f"value = {text}", setting.label)["value"]
    except UserError as error:
        raise UserError(f"{error}; write it as in project.toml") from None


def _plain(value: Any) -> Any:
    """Return a setting as lists, dicts and numbers, so that it can be compared with the input."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
