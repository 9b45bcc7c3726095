"""Rename or delete a project, on its page Settings."""

import streamlit as st

from bootstrap.errors import UserError
from bootstrap.project import removing, renaming
from bootstrap.project.projects import Project
from review_app import links, starting
from review_app.components import markup
from review_app.workspace import catalog_of


def show(project: Project) -> None:
    """Show the two forms."""
    with st.form("rename project", border=False):
        new = st.text_input("New name", project.name, max_chars=64, key=f"new name of {project.name}").strip()
        if st.form_submit_button("Rename the project", icon=":material/drive_file_rename_outline:"):
            with markup.show_errors():
                _rename(project, new)
    with st.form("delete project", border=False):
        st.caption(
            "Deleting moves the project with all its pictures and LoRA files to the trash, a folder of the workspace: "
            f"{markup.plain(str(removing.contents(project, catalog_of(project))))}."
        )
        typed = st.text_input(
            f"To delete {markup.plain(project.name)}, type its name", key=f"delete {project.name}"
        ).strip()
        if st.form_submit_button("Move the project to the trash", icon=":material/delete:"):
            with markup.show_errors():
                _delete(project, typed)


def _rename(project: Project, new: str) -> None:
    _check_nothing_starts(project)
    renaming.rename(project.workspace, project.name, new, catalog_of(project))
    links.choose_project(new)
    st.rerun()


def _delete(project: Project, typed: str) -> None:
    if typed != project.name:
        raise UserError(f"the typed name is '{typed}', the project's is '{project.name}': nothing is deleted")
    _check_nothing_starts(project)
    folder = removing.delete(project, catalog_of(project))
    st.success(
        f"{markup.plain(project.name)} is in the trash. To get it back with all its verdicts, move the folder "
        f"{markup.plain(str(folder))} to {markup.plain(str(project.folder))}.",
        icon=":material/check:",
    )


def _check_nothing_starts(project: Project) -> None:
    begun = starting.latest(project)
    if begun is not None and begun.is_alive():
        raise UserError(f"project '{project.name}': a generation is being started; wait for it or cancel it")
