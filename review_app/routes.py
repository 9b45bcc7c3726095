"""Pictures by URL: the browser fetches, keeps and preloads them itself, and no rerun carries their bytes.

A URL names a project and a candidate; the file's path comes from the catalog, never from the URL.
"""

import re
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from bootstrap.catalog import candidates
from bootstrap.catalog.candidates import Candidate
from bootstrap.curation.thumbnails import make_thumbnail
from bootstrap.errors import UserError
from bootstrap.project import Project
from review_app.workspace import catalog_of, workspace

_ID = re.compile(r"[0-9a-f]{16}")
# A candidate's id is a hash of all that its pixels depend on: what was fetched once stays right.
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"


def routes() -> list[Route]:
    """Return the routes that stand beside Streamlit's own."""
    return [
        Route("/picture/{project}/{candidate}.png", _picture),
        Route("/thumbnail/{project}/{candidate}.webp", _thumbnail),
        Route("/original/{project}.png", _original),
        Route("/sheet/{project}/{generation:int}.png", _sheet),
    ]


def picture_url(project: Project, candidate_id: str) -> str:
    """Where the browser finds a candidate's picture."""
    return f"/picture/{quote(project.name)}/{candidate_id}.png"


def thumbnail_url(project: Project, candidate_id: str) -> str:
    """Where the browser finds a candidate's small picture."""
    return f"/thumbnail/{quote(project.name)}/{candidate_id}.webp"


def original_url(project: Project) -> str:
    """Where the browser finds the original; the URL changes when the file does."""
    try:
        version = project.original.stat().st_mtime_ns
    except OSError:
        version = 0
    return f"/original/{quote(project.name)}.png?v={version:x}"


def sheet_url(project: Project, generation: int) -> str:
    """Where the browser finds a generation's contact sheet."""
    return f"/sheet/{quote(project.name)}/{generation}.png"


def sheet_path(project: Project, generation: int) -> Path:
    """The file of a generation's contact sheet; there once its candidates are published."""
    return project.generation_folder(generation) / "sheet.png"


# Plain functions, not coroutines: Starlette runs them in threads, so a slow disk holds up nobody else.


def _picture(request: Request) -> Response:
    found = _find(request)
    if found is None:
        return _missing()
    project, candidate = found
    return _file(project, candidate.path, _FOR_EVER)


def _thumbnail(request: Request) -> Response:
    found = _find(request)
    if found is None:
        return _missing()
    project, candidate = found
    if not make_thumbnail(project, candidate):
        return _missing()
    return _file(project, candidate.thumbnail, _FOR_EVER)


def _original(request: Request) -> Response:
    project = _project(request)
    return _file(project, Path(project.original.name), _FOR_EVER) if project else _missing()


def _sheet(request: Request) -> Response:
    project = _project(request)
    if project is None:
        return _missing()
    sheet = sheet_path(project, request.path_params["generation"])
    return _file(
        project, sheet.relative_to(project.folder), _ASK_AGAIN
    )  # it is drawn anew as candidates come


def _project(request: Request) -> Project | None:
    try:
        return workspace().project(request.path_params["project"])
    except UserError:
        return None


def _find(request: Request) -> tuple[Project, Candidate] | None:
    project, candidate_id = _project(request), request.path_params["candidate"]
    if project is None or not _ID.fullmatch(candidate_id):
        return None
    try:
        return project, candidates.candidate(catalog_of(project), project.name, candidate_id)
    except UserError:
        return None


def _file(project: Project, relative: Path, caching: str) -> Response:
    path = (project.folder / relative).resolve()
    # The catalog may come from someone else's workspace: a path in it leads nowhere but into the project.
    if not path.is_relative_to(project.folder.resolve()) or not path.is_file():
        return _missing()
    headers = {
        "Cache-Control": caching,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",  # no other web site may show these pictures
    }
    return FileResponse(path, headers=headers)


def _missing() -> Response:
    return PlainTextResponse("no such picture", status_code=404, headers={"Cache-Control": "no-store"})
