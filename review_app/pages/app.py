"""The script that Streamlit runs for each visitor: navigation, the project picker, the chosen page."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from bootstrap.project import Project
from review_app import links
from review_app.components import markup
from review_app.pages import generations, grid, review
from review_app.workspace import workspace

# A file of our own: for a symbol or an emoji the browser would ask a server on the internet.
_ICON = Path(__file__).parents[1] / "components" / "icon.png"

_PROJECT = "project"  # in the address and in the session

_PAGES: dict[str, tuple[str, str, Callable[[Project], None]]] = {
    "review": ("Review", ":material/playing_cards:", review.show),
    "grid": ("Grid", ":material/grid_view:", grid.show),
    "generations": ("Generations", ":material/account_tree:", generations.show),
}


def main() -> None:
    """Draw the page that is asked for."""
    st.set_page_config(page_title="sid review", page_icon=str(_ICON), layout="wide")
    markup.style()
    name = _pick_project()
    pages = {
        key: st.Page(_page(show, name), title=title, icon=icon, url_path=key, default=key == "review")
        for key, (title, icon, show) in _PAGES.items()
    }
    chosen = st.navigation(list(pages.values()))
    links.remember(pages, chosen.url_path or "review")  # the default page's path is empty
    chosen.run()


def _pick_project() -> str | None:
    """Return the project to show: the one in the address, else the last one, else the first."""
    names = workspace().project_names()
    if not names:
        return None
    known = [st.query_params.get(_PROJECT), st.session_state.get(_PROJECT), names[0]]
    name = next(one for one in known if one in names)
    _choose(name)
    with st.sidebar:
        st.caption("Project")
        # No selectbox: that keeps the focus in its text field, and then no key decides until one clicks elsewhere.
        st.menu_button(
            markup.plain(name),
            names,
            key="picked project",
            format_func=markup.plain,
            on_click=lambda: _choose(st.session_state["picked project"]),
            width="stretch",
        )
    return name


def _choose(name: str) -> None:
    st.session_state[_PROJECT] = name
    if st.query_params.get(_PROJECT) != name:
        st.query_params[_PROJECT] = name  # it survives a reload and can be kept as a bookmark


def _page(show: Callable[[Project], None], name: str | None) -> Callable[[], None]:
    def page() -> None:
        if name is None:
            _no_project()
            return
        with markup.told():
            show(workspace().project(name))

    return page


def _no_project() -> None:
    with st.container(border=True, key="no-project"):
        st.subheader("No project yet", anchor=False)
        st.write(
            "A project starts from one picture and its caption. Make one on the command line, "
            "then reload this page:"
        )
        st.code(
            'sid new NAME --image picture.png --caption "woman, red apple, window"',
            language="bash",
            wrap_lines=True,
        )
        st.caption(f"Workspace: {markup.plain(str(workspace().folder))}")


main()
