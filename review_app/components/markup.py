"""HTML and Markdown for the pages; whatever a person wrote is escaped, so that it stays text."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

import streamlit as st

from bootstrap.errors import UserError, as_machine_errors, in_one_line, printable

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_LONGEST = 100_000  # characters of one text on a page
_STYLE = Path(__file__).with_name("style.css")


class Markup(str):
    """A string that is already HTML."""

    __slots__ = ()


def element(name: str, *content: str, **attributes: str) -> Markup:
    """Return an HTML element; content and attributes are escaped unless they are Markup.

    A trailing underscore in an attribute's name is dropped (`class_`), others become hyphens (`aria_label`).
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"' for key, value in attributes.items()
    )
    if name == "img":
        return Markup(f"<{name}{pairs}>")
    inside = "".join(part if isinstance(part, Markup) else escape(_shown(part)) for part in content)
    return Markup(f"<{name}{pairs}>{inside}</{name}>")


def _shown(text: str) -> str:
    """Return a text without characters that reorder or hide others; line breaks stay."""
    return printable(text, _LONGEST, keep="\n\t")


def plain(text: str) -> str:
    """Return Markdown that shows exactly this text, for Streamlit's messages and labels."""
    return _PUNCTUATION.sub(r"\\\1", printable(in_one_line(text), _LONGEST))


def show(*parts: Markup) -> None:
    """Put HTML onto the page."""
    st.html("".join(parts))


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a UserError or a problem of the machine on the page, in a line.

    Each fragment needs its own: errors do not leave a fragment.
    """
    try:
        with as_machine_errors():
            yield
    except UserError as error:
        st.error(plain(str(error)), icon=":material/error:")


def style() -> None:
    """Put the app's style sheet onto the page, once per script run."""
    st.html(_STYLE)


def counts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Return a row of values, each with its name below it."""
    cells = [element("div", element("dd", value), element("dt", name)) for name, value in pairs]
    return element("dl", *cells, class_="sid-counts")


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table of texts."""
    head = element("tr", *(element("th", name, scope="col") for name in names))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    rows_and_head = element("table", element("thead", head), element("tbody", *body), class_="sid-table")
    return element("div", rows_and_head, class_="sid-wide")  # scrolls on narrow screens


def heading(title: str, detail: str = "") -> None:
    """Show the head of a page: a title, and a detail in small print."""
    show(
        element(
            "header",
            element("h1", title),
            element("span", detail) if detail else Markup(""),
            class_="sid-head",
        )
    )
