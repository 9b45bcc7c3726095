"""The guard of the local servers: own names and own pages pass, other sites get nothing."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from bootstrap.serving.guard import LOOPBACK, Guard

HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FRAME = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}


def client(**settings: object) -> TestClient:
    """A guarded app that answers with the name under which it was asked."""

    def host(request: Request) -> Response:
        return PlainTextResponse(request.headers["host"], headers={"Cache-Control": "no-store"})

    def plain(request: Request) -> Response:
        return PlainTextResponse("plain")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.headers["host"])
        await websocket.close()

    routes = [
        Route("/", host, methods=["GET", "POST"]),
        Route("/plain", plain),
        WebSocketRoute("/socket", socket),
    ]
    guarded = Guard(Starlette(routes=routes), headers=HEADERS, **{"hosts": LOOPBACK, **settings})  # type: ignore[arg-type]
    return TestClient(guarded, follow_redirects=False)


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost:8501", True),
        ("LOCALHOST", True),
        ("127.0.0.1:1", True),
        ("[::1]:8501", True),
        ("localhost.:8501", True),
        ("rebound.example", False),
        ("localhost.rebound.example", False),
        ("localhost@rebound.example", False),
        ("192.168.1.5:8501", False),
        ("localhost:8501, rebound.example", False),
        ("", False),
    ],
)
def test_only_its_own_names_are_answered(host: str, passes: bool) -> None:
    assert client().get("/", headers={"host": host}).status_code == (200 if passes else 400)
    assert client().post("/", headers={"host": host}).status_code == (200 if passes else 400)


def test_two_names_at_once_are_none() -> None:
    two = [("host", "localhost"), ("host", "rebound.example")]
    assert client().get("/", headers=two).status_code == 400


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),  # no browser, or an address that was typed into an old one
        ({"origin": "http://localhost:8501"}, True),
        ({"origin": "https://localhost:8501"}, True),  # behind a proxy that speaks TLS
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "http://localhost:9000"}, False),
        ({"origin": "http://127.0.0.1:8501"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://localhost:8501@rebound.example"}, False),
        ({"origin": "http://localhost:8501", "sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),  # another port of this machine
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False),
        (FRAME, False),
    ],
)
def test_only_its_own_pages_may_ask(headers: dict[str, str], passes: bool) -> None:
    headers = {"host": "localhost:8501", **headers}
    answer = client().get("/", headers=headers)
    assert answer.status_code == client().post("/", headers=headers).status_code == (200 if passes else 403)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    if passes:
        with client().websocket_connect("/socket", headers=headers) as socket:
            assert socket.receive_text() == "localhost:8501"
    else:
        with pytest.raises(WebSocketDisconnect), client().websocket_connect("/socket", headers=headers):
            pass


def test_a_link_elsewhere_opens_a_page_and_sends_nothing() -> None:
    headers = {"host": "localhost:8501", **LINK}
    assert client().get("/", headers=headers).status_code == 200
    assert client().post("/", headers=headers).status_code == 403


def test_an_answer_without_headers_gets_them() -> None:
    answer = client().get("/plain", headers={"host": "localhost"})
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_on_all_addresses_any_address_is_its_own_but_no_unknown_name() -> None:
    everywhere = client(hosts=(*LOOPBACK, "box"), any_address=True, advice="; name it in review.toml")
    for host in ("192.168.1.5:8501", "[fe80::1]:8501", "box:8501", "localhost"):
        own = {"host": host, "origin": f"http://{host}"}
        assert everywhere.post("/", headers=own).status_code == 200, host
    refused = everywhere.get("/", headers={"host": "rebound.example"})
    assert refused.status_code == 400
    assert refused.text.startswith("'rebound.example': ")
    assert refused.text.endswith("; name it in review.toml\n")


def test_a_proxy_may_replace_the_name() -> None:
    proxied = client(proxied=["review.example.org", "*.studio.example:8443"])
    for host, origin, passes in [
        ("127.0.0.1:8501", "https://review.example.org", True),
        ("127.0.0.1:8501", "https://a.studio.example:8443", True),
        ("review.example.org", "https://review.example.org", True),
        ("a.studio.example:8443", None, True),
        ("127.0.0.1:8501", "https://a.studio.example", False),
        ("127.0.0.1:8501", "https://review.example.org:9000", False),
        ("review.example.org", "https://other.example.org", False),
    ]:
        headers = {"host": host, **({"origin": origin} if origin else {})}
        answer = proxied.post("/", headers=headers)
        assert answer.status_code == (200 if passes else 403), headers
        if passes:  # what is behind the guard sees the name that the browser knows
            assert answer.text == (origin or f"//{host}").partition("//")[2]
