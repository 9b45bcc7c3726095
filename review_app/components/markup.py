"""HTML and Markdown for the pages; whatever a person wrote is escaped, so that it stays text."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

import streamlit as st

from bootstrap.errors import UserError, machine_problem

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_STYLE = Path(__file__).with_name("style.css")


class Markup(str):
    """A string that is already HTML."""

    __slots__ = ()


def element(name: str, *content: str, **attributes: str) -> Markup:
    """Return an HTML element; content and attributes are escaped unless they are Markup.

    A trailing underscore in an attribute's name is dropped (`class_`), others become hyphens (`aria_label`).
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
    )
    if name == "img":
        return Markup(f"<{name}{pairs}>")
    inside = "".join(part if isinstance(part, Markup) else escape(part) for part in content)
    return Markup(f"<{name}{pairs}>{inside}</{name}>")


def plain(text: str) -> str:
    """Return Markdown that shows exactly this text, for Streamlit's messages and labels."""
    return _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))


def show(*parts: Markup) -> None:
    """Put HTML onto the page."""
    st.html("".join(parts))


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a UserError of the block on the page, or that a path cannot be used.

    Each fragment needs its own: errors do not leave a fragment.
    """
    try:
        yield
    except (UserError, OSError) as error:
        problem = str(error) if isinstance(error, UserError) else machine_problem(error)
        if problem is None:
            raise
        st.error(plain(problem), icon=":material/error:")


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
