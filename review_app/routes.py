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
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from bootstrap import reading
from bootstrap.catalog import DatabaseError, candidates, generations, sheets, trainings
from bootstrap.catalog.candidates import Candidate
from bootstrap.dataset import exporting
from bootstrap.errors import MachineError, UserError, machine_problem
from bootstrap.pictures.thumbnails import make_thumbnail, small_original
from bootstrap.project.projects import Project
from review_app import cells, dataset_changes, deck_server, reviewers
from review_app.urls import (
    cells_url,
    deck_url,
    drawn_sheet_url,
    export_url,
    original_url,
    picture_url,
    sheet_path,
    sheet_url,
    small_original_url,
    snapshot_url,
    thumbnail_url,
)
from review_app.workspace import catalog_of, workspace

__all__ = [
    "cells_url", "deck_url", "drawn_sheet_url", "export_url", "original_url", "picture_url", "routes", "sheet_path",
    "sheet_url", "small_original_url", "snapshot_url", "thumbnail_url",
]  # fmt: skip

_Body = TypeVar("_Body", bound=BaseModel)

_ID = re.compile(r"[0-9a-f]{16}")
_TRAINING = re.compile(r"[0-9a-z]{1,64}")
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
        Route("/small-original/{project}.webp", _small_original),
        Route("/sheet/{project}/{generation}.png", _sheet),
        Route("/sheet/{project}/{generation}/{name}", _drawn_sheet),
        Route("/snapshot/{project}/{training}/{epoch}.safetensors", _snapshot),
        Route("/export/{project}/{format}.zip", _export),
        Route("/deck/{project}", _deck, methods=["POST"]),
        Route("/alike/{project}", _alike, methods=["POST"]),
        Route("/cells/{project}", _cells, methods=["GET"]),
        Route("/ready", _ready, methods=["GET"]),
        Route("/dataset-changes/{project}", _dataset_changes, methods=["POST"]),
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


def _small_original(request: Request) -> Response:
    project = _project(request)
    if project is None:
        return _missing()
    try:
        small = small_original(project.original, project.original.stat().st_mtime_ns)
    except (OSError, UserError):
        return _missing()
    return Response(small, media_type="image/webp", headers=_headers(_FOR_EVER))


def _snapshot(request: Request) -> Response:
    project, epoch = _project(request), _number(request, "epoch")
    if project is None or epoch is None:
        return _missing("snapshot")
    training = request.path_params["training"]
    if not _TRAINING.fullmatch(training):
        return _missing("snapshot")
    known = trainings.snapshot_path(catalog_of(project), project.name, training, epoch)
    try:
        path = reading.inside(project.folder, known, "snapshot") if known else None
    except UserError:
        path = None
    if path is None or not path.is_file():
        return _missing("snapshot")
    # It may have hundreds of megabytes, and a browser may go on with a download that broke off.
    return FileResponse(
        path, media_type="application/octet-stream", filename=path.name, headers=_headers(_ASK_AGAIN)
    )


def _export(request: Request) -> Response:
    project, to_format = _project(request), request.path_params["format"]
    if project is None or to_format not in exporting.FORMATS:
        return _missing("export")
    try:
        packed = exporting.zipped(project, catalog_of(project), to_format)
    except UserError as error:  # a picture is missing or damaged
        return PlainTextResponse(str(error), 500, _NOT_KEPT)
    name = quote(f"{project.name}-{to_format}.zip")
    headers = {**_headers("no-store"), "Content-Disposition": f"attachment; filename*=utf-8''{name}"}
    return Response(packed, media_type="application/zip", headers=headers)


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


async def _dataset_changes(request: Request) -> Response:
    project, body = await _parsed_request(request, dataset_changes.Request)
    who = reviewers.reviewer_of(request.headers)
    try:
        return _json(await run_in_threadpool(dataset_changes.answer, project, catalog_of(project), body, who))
    except MachineError:
        raise
    except UserError as error:  # such as an empty caption, or a generation that is running
        return PlainTextResponse(str(error), 409, _NOT_KEPT)


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
        raise HTTPException(403, "another web site may change nothing here", _NOT_KEPT)
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
    try:
        page = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:  # no address of a page
        return False
    return page == request.headers.get("host", "?")


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


def _ready(_: Request) -> Response:
    """Answer with each project's latest generation, and whether it is up for review."""
    names = workspace().project_names()
    if not names:
        return _json({})
    latest = generations.latest_of_all(catalog_of(workspace().project(names[0])))
    states = {
        name: {"generation": latest[name][0], "ready": latest[name][1].is_up_for_review}
        for name in names
        if name in latest
    }
    return _json(states)


def _json(answer: object) -> Response:
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers=_NOT_KEPT)


def _project(request: Request) -> Project | None:
    try:
        return workspace().project(request.path_params["project"])
    except UserError:
        return None


def _generation(request: Request) -> int | None:
    return _number(request, "generation")


def _number(request: Request, name: str) -> int | None:
    """Return a number in a request's path; Starlette's own `int` fails for thousands of digits."""
    text = request.path_params[name]
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
    return Response(content, media_type=mimetypes.guess_type(path.name)[0], headers=_headers(caching))


def _headers(caching: str) -> dict[str, str]:
    return {
        "Cache-Control": caching,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",  # no other web site may show these files
    }


def _missing(what: str = "picture") -> Response:
    return PlainTextResponse(f"no such {what}", status_code=404, headers={"Cache-Control": "no-store"})
