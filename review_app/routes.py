"""HTTP routes beside Streamlit's: pictures by URL, and the requests of the deck and the grid.

The browser fetches, caches and preloads pictures itself, so no script rerun carries their bytes. A URL names a project
and a candidate; the file's path comes from the catalog, never from the URL.

Verdicts have their own route instead of a component's trigger: the answer says which of them are committed, a request
without an answer can be repeated, and no script has to run. A trigger has no answer, a second one replaces the first
while the script is busy, and it is lost with the connection.
"""

import json
import mimetypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bootstrap import reading
from bootstrap.catalog import DatabaseError, candidates, sheets
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import MachineError, UserError, machine_problem
from bootstrap.pictures.thumbnails import make_thumbnail
from bootstrap.project.projects import Project
from review_app import cells, deck_server, reviewers
from review_app.urls import (
    cells_url,
    deck_url,
    drawn_sheet_url,
    original_url,
    picture_url,
    sheet_path,
    sheet_url,
    thumbnail_url,
)
from review_app.workspace import catalog_of, workspace

__all__ = [
    "cells_url", "deck_url", "drawn_sheet_url", "original_url", "picture_url", "routes", "sheet_path", "sheet_url",
    "thumbnail_url",
]  # fmt: skip

_Body = TypeVar("_Body", bound=BaseModel)

_ID = re.compile(r"[0-9a-f]{16}")
_NUMBER = re.compile(r"[0-9]{1,6}")
# A candidate's id is a hash of everything that its pixels depend on, so its picture never changes.
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"
_NOT_KEPT = {"Cache-Control": "no-store"}
_MOST_BYTES = 4_000_000  # of a request's body, enough for verdicts on 50,000 candidates


def routes() -> list[Route]:
    """Return the routes beside Streamlit's own."""
    return [
        Route("/picture/{project}/{candidate}.png", _picture),
        Route("/thumbnail/{project}/{candidate}.webp", _thumbnail),
        Route("/original/{project}.png", _original),
        Route("/sheet/{project}/{generation}.png", _sheet),
        Route("/sheet/{project}/{generation}/{name}", _drawn_sheet),
        Route("/deck/{project}", _deck, methods=["POST"]),
        Route("/alike/{project}", _alike, methods=["POST"]),
        Route("/cells/{project}", _cells, methods=["GET"]),
    ]


def machine_problems() -> dict[Any, Callable[[Request, Exception], Response]]:
    """Return the handlers of errors of files and of the catalog: the answer is a line, 503, and may be asked again."""
    return dict.fromkeys((OSError, MachineError, DatabaseError), _machine_problem)


def _machine_problem(_: Request, error: Exception) -> Response:
    told = str(error) if isinstance(error, MachineError) else machine_problem(error)
    if told is None:
        raise error
    return PlainTextResponse(told, 503, _NOT_KEPT)


# Plain functions, not coroutines: Starlette runs them in threads, so a slow disk delays only its own request.


def _picture(request: Request) -> Response:
    match = _find(request)
    if match is None:
        return _missing()
    project, candidate = match
    return _file(project, candidate.path, _FOR_EVER)


def _thumbnail(request: Request) -> Response:
    match = _find(request)
    if match is None:
        return _missing()
    project, candidate = match
    if not make_thumbnail(project, candidate):
        return _missing()
    return _file(project, candidate.thumbnail, _FOR_EVER)


def _original(request: Request) -> Response:
    project = _project(request)
    return _file(project, Path(project.original.name), _FOR_EVER) if project else _missing()


def _sheet(request: Request) -> Response:
    project, generation = _project(request), _generation(request)
    if project is None or generation is None:
        return _missing()
    sheet = sheet_path(project, generation)
    return _file(
        project, sheet.relative_to(project.folder), _ASK_AGAIN
    )  # it changes when candidates are added


def _drawn_sheet(request: Request) -> Response:
    project, generation, name = _project(request), _generation(request), request.path_params["name"]
    if project is None or generation is None:
        return _missing()
    known = sheets.of_project(catalog_of(project), project.name)
    path = next(
        (sheet.path for sheet in known if (sheet.generation, sheet.path.name) == (generation, name)), None
    )
    return _file(project, path, _ASK_AGAIN) if path else _missing()


async def _deck(request: Request) -> Response:
    project, body = await _parsed_request(request, deck_server.Request)
    who = reviewers.reviewer_of(request.headers)
    return await _answered(deck_server.answer, project, catalog_of(project), body, who)


async def _alike(request: Request) -> Response:
    project, body = await _parsed_request(request, deck_server.AlikeRequest)
    who = reviewers.reviewer_of(request.headers)
    return await _answered(deck_server.settle_alike, project, catalog_of(project), body, who)


async def _answered(answer: Callable[..., object], *arguments: object) -> Response:
    try:
        return _json(await run_in_threadpool(answer, *arguments))
    except UserError as error:  # a row of the catalog is damaged
        return PlainTextResponse(str(error), 500, _NOT_KEPT)


async def _parsed_request(request: Request, kind: type[_Body]) -> tuple[Project, _Body]:
    """Return the project and the parsed body of a request from one of our own pages.

    Raises:
        HTTPException: the request comes from another site, is too long, or cannot be parsed.
    """
    if not _is_our_own_page(request):
        raise HTTPException(403, "another web site may not give verdicts", _NOT_KEPT)
    project = await run_in_threadpool(_project, request)
    if project is None:
        raise HTTPException(404, "there is no such project", _NOT_KEPT)
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                raise HTTPException(413, f"more than {_MOST_BYTES} bytes", _NOT_KEPT)
    except ClientDisconnect:  # the page was closed while sending; it sends its acts again later
        raise HTTPException(400, "the browser went away", _NOT_KEPT) from None
    try:
        return project, _checked(kind, bytes(body))
    except UserError as error:
        raise HTTPException(400, str(error), _NOT_KEPT) from None


def _checked(kind: type[_Body], text: str | bytes) -> _Body:
    """Return the JSON of a request as this model.

    Raises:
        UserError: it is not valid JSON, or has another shape.
    """
    value = reading.parse_json(text, "request", "reload the page")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise UserError(
            f"request: {reading.place_of(problem['loc'])}: {problem['msg']}; reload the page"
        ) from None


def _is_our_own_page(request: Request) -> bool:
    """Return whether a page of this app sent the request; every browser reports the origin of a POST."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", "?")


def _cells(request: Request) -> Response:
    project = _project(request)
    if project is None:
        return PlainTextResponse("there is no such project", 404, _NOT_KEPT)
    try:
        criteria = _checked(cells.Filter, request.query_params.get("filter", "{}"))
    except UserError as error:
        return PlainTextResponse(str(error), 400, _NOT_KEPT)
    try:
        return _json(cells.cells(project, catalog_of(project), criteria))
    except UserError as error:  # a row of the catalog is damaged
        return PlainTextResponse(str(error), 500, _NOT_KEPT)


def _json(answer: object) -> Response:
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers=_NOT_KEPT)


def _project(request: Request) -> Project | None:
    try:
        return workspace().project(request.path_params["project"])
    except UserError:
        return None


def _generation(request: Request) -> int | None:
    """Return the generation in a request's path; Starlette's own `int` fails for thousands of digits."""
    text = request.path_params["generation"]
    return int(text) if _NUMBER.fullmatch(text) else None


def _find(request: Request) -> tuple[Project, Candidate] | None:
    project, candidate_id = _project(request), request.path_params["candidate"]
    if project is None or not _ID.fullmatch(candidate_id):
        return None
    try:
        return project, candidates.candidate(catalog_of(project), project.name, candidate_id)
    except MachineError:
        raise
    except UserError:
        return None


def _file(project: Project, relative: Path, caching: str) -> Response:
    # The catalog may come from someone else's workspace, so paths that lead out of the project are refused.
    # Read here, in the request's thread: Starlette's FileResponse uses other threads for each part of a file.
    try:
        path = reading.inside(project.folder, relative, "picture")
        with reading.opened(path, "picture") as file:
            content = file.read()
    except (OSError, UserError):
        return _missing()
    headers = {
        "Cache-Control": caching,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",  # no other web site may show these pictures
    }
    return Response(content, media_type=mimetypes.guess_type(path.name)[0], headers=headers)


def _missing() -> Response:
    return PlainTextResponse("no such picture", status_code=404, headers={"Cache-Control": "no-store"})
