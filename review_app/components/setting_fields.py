"""A form field for each setting, made from the pydantic model that `project.toml` is checked with."""

import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import streamlit as st
import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bootstrap.errors import UserError
from bootstrap.recipes.setting_types import Snapshots, Strengths

_LONG_TEXTS = ("caption", "negative_prompt")
_ABBREVIATIONS = {"unet": "UNet", "lr": "LR", "cfg": "CFG", "clip": "CLIP", "snr": "SNR"}
_SPANS = (get_args(Strengths)[0], get_args(Snapshots)[0])


@dataclass(frozen=True)
class Setting:
    """One setting as a form shows it."""

    name: str
    field: FieldInfo
    value: Any  # as it is now
    default: Any  # what it is without a line in the file; None: nothing, or it must be given
    comment: str = ""

    @property
    def label(self) -> str:
        """The name, in words."""
        words = [_ABBREVIATIONS.get(word, word) for word in self.name.split("_")]
        return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])

    @property
    def help(self) -> str | None:
        """What the file's comment says, and the default."""
        told = [self.comment[:1].upper() + self.comment[1:]] if self.comment else []
        if self.default not in (None, "", []):
            told.append(f"Default: {_shown(self.default)}")
        # Streamlit's tooltips are Markdown; these texts are ours, and hold nothing but the odd sign of it.
        return ". ".join(told).replace("`", "").replace("_", "\\_").replace("*", "\\*") or None


def changed(settings: Sequence[Setting], key: str) -> dict[str, Any]:
    """Put a field for each setting onto the page, two beside each other; return those that were changed.

    Args:
        key: beginning of the fields' keys; another one makes new fields, with the values as they are.

    Returns:
        New values by name; None asks for the default.

    Raises:
        UserError: what was typed cannot be read, told with the setting's name.
    """
    found = {}
    for first in range(0, len(settings), 2):
        row = settings[first : first + 2]
        has_switch = any(
            _kind(one.field.annotation)[0] == "bool" for one in row
        )  # which has no label above it
        columns = st.columns(2, gap="medium", vertical_alignment="center" if has_switch else "top")
        for column, one in zip(columns, row, strict=False):
            with column:
                value = _field(one, f"{key} {one.name}")
            if value != one.value:
                found[one.name] = value
    return found


def of_model(
    model: type[BaseModel], values: BaseModel | None, defaults: Mapping[str, Any], comments: Mapping[str, str]
) -> list[Setting]:
    """Return the settings of a section, or of a recipe.

    Args:
        model: what checks them.
        values: as they are; None: of one that is not there yet.
        defaults: of the base model, over those of the method.
        comments: by the setting's name.
    """
    settings = []
    for name, field in model.model_fields.items():
        own = None if field.is_required() else field.get_default(call_default_factory=True)
        default = defaults.get(name, own)
        value = getattr(values, name) if values is not None else default
        settings.append(Setting(name, field, _plain(value), _plain(default), comments.get(name, "")))
    return settings


def _field(one: Setting, key: str) -> Any:
    """Put the field; return what it says."""
    kind, options = _kind(one.field.annotation)
    shared: dict[str, Any] = {"key": key, "help": one.help}
    if kind == "bool":
        return st.toggle(one.label, bool(one.value), **shared)
    if kind == "choice":
        return st.selectbox(
            one.label, options, options.index(one.value) if one.value in options else None,
            placeholder="The base model's own", **shared,
        )  # fmt: skip
    if kind in ("int", "float"):
        return _number(one, kind, shared)
    if kind == "text":
        put = st.text_area if one.name in _LONG_TEXTS else st.text_input
        said = put(one.label, one.value or "", placeholder=_placeholder(one), **shared).strip()
        return said if said or (isinstance(one.value, str) and not _is_optional(one.field)) else None
    if kind == "texts":
        lines = st.text_area(
            one.label, "\n".join(one.value or []), placeholder="One a line", height=110, **shared
        )
        return [line.strip() for line in lines.splitlines() if line.strip()]
    if kind == "span":
        return _span(one, st.text_input(one.label, _span_text(one.value), **shared))
    said = st.text_area(one.label, _toml(one.value), placeholder="As in project.toml", height=110, **shared)
    return _read_toml(one, said) if said.strip() else None


def _number(one: Setting, kind: str, shared: Mapping[str, Any]) -> Any:
    low, high = _limits(one.field)
    whole = kind == "int"
    number = int if whole else float
    step: float = 1 if whole else _step(one.value if one.value is not None else one.default)
    limits: dict[str, Any] = {
        "min_value": number(low) if low is not None else None,
        "max_value": number(high) if high is not None else None,
    }
    # The value comes through the session, for a field that is given one cannot be cleared any more.
    if shared["key"] not in st.session_state and one.value is not None:
        st.session_state[shared["key"]] = number(one.value)
    said = st.number_input(
        one.label, value=None, step=number(step), format="%d" if whole else "%g", placeholder=_placeholder(one),
        **limits, **shared,
    )  # fmt: skip
    return said if said is None else number(said)


def _step(value: float | None) -> float:
    """A tenth of the value, or near it: rates are small, scales are not."""
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
    """Return what field an annotation needs, and its options where it is a choice."""
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
    """The least and the greatest value that the model takes; an open limit is left to its check."""
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


def _placeholder(one: Setting) -> str:
    return "" if one.default in (None, "", []) else _shown(one.default)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _span_text(value: Any) -> str:
    return "" if value is None else _shown(value)


def _span(one: Setting, said: str) -> Any:
    """Read `0.6, 0.7`, `auto`, or a range as the file has it."""
    text = said.strip()
    if not text:
        return None
    if text == _span_text(one.value):
        return one.value
    if text.strip('"') == "auto":
        return "auto"
    return _read_toml(one, text if text.startswith(("{", "[")) else f"[{text}]")


def _toml(value: Any) -> str:
    """A list of tables as it stands in the file, one a line."""
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


def _read_toml(one: Setting, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{one.label}: it cannot be read ({error}); write it as in project.toml") from None


def _plain(value: Any) -> Any:
    """A setting as lists, tables and numbers, so that it can be compared with what is typed."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
