"""Streamlit's scripts and fonts from memory: the same bytes, preloaded, and nothing outside their folder."""

import gzip
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from streamlit import file_util

from review_app.assets import Assets

STATIC = Path(file_util.get_static_dir()) / "static"


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """The app that is wrapped."""
    request = Request(scope)
    answer: Response = PlainTextResponse(f"{request.method} {request.url.path}")
    if request.url.path == "/":
        answer = HTMLResponse("<title>page</title>")
    await answer(scope, receive, send)


def ask(url: str, client: str = "127.0.0.1", **headers: str) -> object:
    return TestClient(Assets(behind), client=(client, 1), headers=headers).get(url)


def test_a_script_is_what_lies_on_the_disk_and_is_kept_for_good() -> None:
    script = next(STATIC.glob("js/index.*.js"))
    for client in ("127.0.0.1", "192.0.2.7"):  # another machine gets it compressed
        answer = ask(f"/static/js/{script.name}", client)
        assert answer.content == script.read_bytes()
        assert answer.headers.get("content-encoding") == (None if client == "127.0.0.1" else "gzip")
        assert "javascript" in answer.headers["content-type"]
        assert "immutable" in answer.headers["cache-control"]
    plain = ask(f"/static/js/{script.name}", "192.0.2.7", **{"accept-encoding": "identity"})
    assert (
        int(plain.headers["content-length"])
        == script.stat().st_size
        > len(gzip.compress(script.read_bytes()))
    )


def test_a_page_names_what_it_will_ask_for_and_all_of_it_is_there() -> None:
    links = ask("/").headers["link"].split(", ")
    assert any("BidiComponent" in one for one in links) and any("MaterialSymbols" in one for one in links)
    for one in links:
        url = one.partition(";")[0].strip("<>")
        assert (STATIC / url.removeprefix("/static/")).is_file()
    assert "link" not in ask("/deck/badge").headers


@pytest.mark.parametrize(
    "path", ["/static/js/none.js", "/static/../index.html", "/static/%2e%2e/index.html", "/static/"]
)
def test_all_else_is_left_to_the_app(path: str) -> None:
    assert ask(path).text.startswith("GET /")
    assert TestClient(Assets(behind)).post("/static/js/none.js").text == "POST /static/js/none.js"
