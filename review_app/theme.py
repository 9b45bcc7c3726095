"""The app's colours, light and dark; the browser's preference chooses."""

from typing import Any

_SHARED = {
    "baseRadius": "0.6rem",
    "buttonRadius": "0.6rem",
    "linkUnderline": False,
}
_LIGHT = {
    **_SHARED,
    "primaryColor": "#2c7a6b",
    "backgroundColor": "#fbfaf7",
    "secondaryBackgroundColor": "#f1efe9",
    "textColor": "#26292c",
    "borderColor": "#dedad0",
    "linkColor": "#226657",
    "chartCategoricalColors": ["#2c7a6b", "#c98a3a", "#5a7fb0", "#a3567a", "#8a8a55", "#6b6b8f"],
}
_DARK = {
    **_SHARED,
    "primaryColor": "#2b8070",  # white on it has 4.8 : 1; for text on the background it is too dark
    "backgroundColor": "#16191c",
    "secondaryBackgroundColor": "#1e2226",
    "textColor": "#e4e6e7",
    "borderColor": "#343a40",
    "linkColor": "#7cc5b4",
    "chartCategoricalColors": ["#5fb3a1", "#dba763", "#86a8d6", "#cc86a6", "#b5b57f", "#9c9cc4"],
}

THEME: dict[str, Any] = {
    "theme.showSidebarBorder": True,
    "theme.baseFontSize": 15,
    "theme.headingFontSizes": ["1.5rem", "1.3rem", "1.15rem"],
    **{f"theme.light.{name}": value for name, value in _LIGHT.items()},
    **{f"theme.dark.{name}": value for name, value in _DARK.items()},
}
