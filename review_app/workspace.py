"""The workspace and the catalog, shared by the app's pages and routes."""

from functools import lru_cache

from bootstrap.catalog import Catalog
from bootstrap.project.projects import Project, Workspace


def workspace() -> Workspace:
    """Return the workspace that `sid review` was started for."""
    return Workspace.locate()


@lru_cache(maxsize=4)
def _opened(url: str) -> Catalog:
    return Catalog(url)


def catalog_of(project: Project) -> Catalog:
    """Return the catalog of the project's workspace, which is opened once per server."""
    return _opened(project.workspace.catalog_url)
