"""The script that Streamlit runs for each visitor: navigation, project menu and the chosen page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from bootstrap.commands import command
from bootstrap.project.projects import Project
from review_app import drafts, links, reviewers, uploads
from review_app.components import markup, notices
from review_app.pages import (
    dataset,
    generations,
    grid,
    new_project,
    projects,
    recipes,
    review,
    schedule,
    settings,
    training,
)
from review_app.workspace import workspace

_BEGUN = "first page shown"
_IS_NAMED = "address named a project"
# Our own file: for a symbol or an emoji the browser would contact a server on the internet.
_ICON = Path(__file__).parents[1] / "components" / "icon.png"


def _of_project(show: Callable[[Project], None]) -> Callable[[], None]:
    """Return a page that shows the chosen project."""

    def page() -> None:
        name = st.session_state.get(links.PROJECT)
        if name is None:
            _no_project()
        else:
            show(workspace().project(name))

    return page


@dataclass(frozen=True)
class _Entry:
    """An entry of the navigation."""

    title: str
    icon: str
    show: Callable[[], None]


_PROJECT_PAGES = {
    "review": _Entry("Review", ":material/playing_cards:", _of_project(review.show)),
    "grid": _Entry("Grid", ":material/grid_view:", _of_project(grid.show)),
    "generations": _Entry("Generations", ":material/account_tree:", _of_project(generations.show)),
    "training": _Entry("Training", ":material/model_training:", _of_project(training.show)),
    "dataset": _Entry("Dataset", ":material/photo_library:", _of_project(dataset.show)),
    "recipes": _Entry("Recipes", ":material/receipt_long:", _of_project(recipes.show)),
    "settings": _Entry("Settings", ":material/tune:", _of_project(settings.show)),
}
_WORKSPACE_PAGES = {
    "projects": _Entry("Projects", ":material/dashboard:", projects.show),
    "new": _Entry("New project", ":material/add_photo_alternate:", new_project.show),
    "schedule": _Entry("Schedule", ":material/bedtime:", schedule.show),
}


def main() -> None:
    """Show the requested page."""
    st.set_page_config(page_title="sid", page_icon=str(_ICON), layout="wide")
    markup.style()
    with markup.show_errors():
        _pick_project()
        _strays()
        of_project, of_workspace = _pages(_PROJECT_PAGES), _pages(_WORKSPACE_PAGES)
        chosen = st.navigation([*of_project.values(), *of_workspace.values()], position="hidden")
        _navigation(of_project, of_workspace)
        links.remember(
            of_project | of_workspace, chosen.url_path or "review"
        )  # the default page's path is empty
        _first_page(chosen.url_path, of_workspace["projects"])
        shown = (_PROJECT_PAGES | _WORKSPACE_PAGES)[chosen.url_path or "review"].title
        _title(shown, chosen.url_path in of_workspace)
        _show_reviewer()
        _tell_wrong_address(of_project | of_workspace, shown)
        if chosen.url_path != "new":
            uploads.forget()  # the page has made its project, or the visitor has left it
        chosen.run()
        _tell_drafts()
        notices.follow()


def _first_page(path: str, all_projects: Any) -> None:
    """Begin with all projects, if there are several and the address names none."""
    if st.session_state.setdefault(_BEGUN, False):
        return
    st.session_state[_BEGUN] = True
    if path == "" and not st.session_state.pop(_IS_NAMED, False) and len(workspace().project_names()) > 1:
        st.switch_page(all_projects)


def _title(page: str, is_of_workspace: bool) -> None:
    """Name page and project in the browser's tab."""
    project = st.session_state.get(links.PROJECT)
    parts = [page, *([project] if project and not is_of_workspace else []), "sid"]
    st.set_page_config(page_title=" · ".join(parts))


def _tell_drafts() -> None:
    """Say in the sidebar which settings are changed and not saved."""
    project = st.session_state.get(links.PROJECT)
    for place, labels in drafts.of_project(project).items() if project else ():
        with st.sidebar:
            st.caption(
                f":material/edit: Not saved yet in {markup.plain(place)}: {markup.plain(', '.join(labels))}"
            )


def _navigation(of_project: dict[str, Any], of_workspace: dict[str, Any]) -> None:
    """Show links to all pages: Streamlit's own list with headings is no list to a screen reader."""
    with st.sidebar:
        with st.container(key="project-pages", gap=None):
            for page in of_project.values():
                st.page_link(page, width="stretch")
        with st.container(key="workspace-pages", gap=None):
            st.caption("Workspace")
            for page in of_workspace.values():
                st.page_link(page, width="stretch")


def _tell_wrong_address(pages: dict[str, Any], shown: str) -> None:
    """Say that there is no such page; Streamlit's own dialog is off, see review_app.error_dialogs."""
    asked = urlsplit(st.context.url or "").path.strip("/")
    if asked and asked not in pages:
        st.warning(markup.plain(f"There is no page {asked}; this is {shown}."))


def _pages(entries: dict[str, _Entry]) -> dict[str, Any]:
    return {
        key: st.Page(entry.show, title=entry.title, icon=entry.icon, url_path=key, default=key == "review")
        for key, entry in entries.items()
    }


def _show_reviewer() -> None:
    """If there is a login, show who is logged in, with a link to log out."""
    if reviewers.HEADER in st.context.headers:
        with st.sidebar:
            name = markup.element("span", f"Logged in as {reviewers.reviewer_of(st.context.headers)}")
            markup.show(
                markup.element("p", name, markup.element("a", "Log out", href="/logout"), class_="sid-who")
            )


def _pick_project() -> None:
    """Choose the project to show: the one in the address, else the last one shown, else the first, if any."""
    names = workspace().project_names()
    if not names:
        st.session_state.pop(links.PROJECT, None)
        return
    st.session_state.setdefault(_IS_NAMED, st.query_params.get(links.PROJECT) in names)
    known = [st.query_params.get(links.PROJECT), st.session_state.get(links.PROJECT), names[0]]
    name = next(candidate for candidate in known if candidate in names)
    links.choose_project(name)
    with st.sidebar:
        st.caption("Project")
        # Not a selectbox: it keeps the focus in its text field, and then no key decides until a click elsewhere.
        st.menu_button(
            markup.plain(name),
            names,
            key="picked project",
            format_func=markup.plain,
            on_click=lambda: links.choose_project(st.session_state["picked project"]),
            width="stretch",
        )


def _strays() -> None:
    """Say in small print what is in the projects' folder and no project."""
    for stray in workspace().strays():
        with st.sidebar:
            st.caption(markup.plain(str(stray)))


def _no_project() -> None:
    with st.container(border=True, key="no-project"):
        st.subheader("No project yet", anchor=False)
        st.write("A project starts from one picture and its caption.")
        links.button("new", "Create a project", ":material/add_photo_alternate:")
        st.caption("Or on the command line:")
        st.code(
            f'{command("new")} NAME --image picture.png --caption "woman, red apple, window"',
            language=None,
            wrap_lines=True,
        )
        st.caption(f"Workspace: {markup.plain(str(workspace().folder))}")


main()
