"""The workspace and the catalog, shared by the app's pages and routes."""

from functools import lru_cache
from pathlib import Path

from bootstrap.catalog import Catalog
from bootstrap.project import identity
from bootstrap.project.projects import Project, Workspace


def workspace() -> Workspace:
    """Return the workspace that `sid review` was started for."""
    return Workspace.locate()


_settled: dict[
    str, tuple[Path, int]
] = {}  # by the catalog's URL: the projects' folder, and its time when settled


@lru_cache(maxsize=4)
def _opened(url: str) -> Catalog:
    return Catalog(url)


def catalog_of(project: Project) -> Catalog:
    """Return the catalog of the project's workspace, which is opened once per server.

    It follows folders of projects that were renamed, moved or copied by hand meanwhile.
    """
    catalog, folder = _opened(project.workspace.catalog_url), project.workspace.projects_folder
    changed_at = folder.stat().st_mtime_ns  # a folder's time changes with the names in it
    if _settled.get(catalog.url, (folder, 0)) != (folder, changed_at):
        identity.settle(catalog, folder)
        _settled[catalog.url] = folder, changed_at
    return catalog
