"""The app's charts, whose axes always span the same range, so that two of them can be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_HEIGHT = 260  # pixels


def losses(rows: Sequence[Mapping[str, Any]], x: str, x_title: str, last: float, color: str | None) -> None:
    """Show the loss as lines; both axes begin at 0, and the one across ends with the training.

    Args:
        rows: each with `x`, `loss`, and `color` if given.
        x: key of the place across.
        x_title: name of that axis.
        last: end of that axis.
        color: key by which lines are told apart; None: there is only one.
    """
    import altair  # takes a second to import, so only here

    lines = altair.Chart(altair.Data(values=list(rows))).mark_line(point=len(rows) < 30)
    encoding: dict[str, Any] = {
        "x": altair.X(f"{x}:Q", title=x_title, scale=altair.Scale(domain=[0, last], nice=False)),
        "y": altair.Y("loss:Q", title="mean loss", scale=altair.Scale(zero=True, domainMin=0)),
        "tooltip": [
            altair.Tooltip(f"{x}:Q", title=x_title),
            altair.Tooltip("loss:Q", title="mean loss", format=".4f"),
        ],
    }
    if color:
        encoding["color"] = altair.Color(f"{color}:N", title=None)
    st.altair_chart(lines.encode(**encoding).properties(height=_HEIGHT))


def shares(rows: Sequence[Mapping[str, Any]], by: str, color: str | None) -> None:
    """Show percentages as bars from 0 to 100, each with its counts beside it.

    Args:
        rows: each with `by`, `percent` (0 to 100), `counts` such as "5 of 6", and `color` if given.
        by: key of what a bar stands for.
        color: key of what several bars of one group stand for; None: a group has one bar.
    """
    import altair  # takes a second to import, so only here

    base = altair.Chart(altair.Data(values=list(rows)))
    place: dict[str, Any] = {
        "y": altair.Y(f"{by}:N", title=by, sort=None),
        "x": altair.X("percent:Q", title="accepted, %", scale=altair.Scale(domain=[0, 100])),
    }
    if color:
        place["yOffset"] = altair.YOffset(f"{color}:N", sort=None)
    tooltip = [
        altair.Tooltip(f"{by}:N"),
        altair.Tooltip("percent:Q", title="accepted, %", format=".0f"),
        altair.Tooltip("counts:N", title="pictures"),
    ]
    bars = base.mark_bar().encode(
        **place, tooltip=tooltip, **({"color": altair.Color(f"{color}:N", title=None)} if color else {})
    )
    # Streamlit's theme does not reach texts within a chart.
    ink = "#e4e6e7" if st.context.theme.type == "dark" else "#26292c"
    counts = base.mark_text(align="left", dx=4, color=ink).encode(**place, text="counts:N")
    st.altair_chart(bars + counts)
