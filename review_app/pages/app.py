"""The script that Streamlit runs for each visitor: navigation, the project picker, the chosen page."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from bootstrap.errors import UserError
from bootstrap.project import Project
from review_app import links
from review_app.components import markup
from review_app.pages import generations, grid, review
from review_app.workspace import workspace

# A file of our own: for a symbol or an emoji the browser would ask a server on the internet.
_ICON = Path(__file__).parents[1] / "components" / "icon.png"

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
    links.remember(pages)
    st.navigation(list(pages.values())).run()


def _pick_project() -> str | None:
    names = workspace().project_names()
    if not names:
        return None
    # `bind` keeps the choice in the address, so it survives a reload and can be shared as a bookmark.
    return st.sidebar.selectbox("Project", names, key="project", bind="query-params", filter_mode=None)


def _page(show: Callable[[Project], None], name: str | None) -> Callable[[], None]:
    def page() -> None:
        if name is None:
            _no_project()
            return
        try:
            show(workspace().project(name))
        except UserError as error:
            st.error(markup.plain(str(error)), icon=":material/error:")

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
