"""The login: nothing is served without it, whatever the request; and what the command line says about it."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import populate
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from typer.testing import CliRunner

from bootstrap.catalog.verdicts import history
from bootstrap.cli import main as sid
from bootstrap.errors import UserError
from bootstrap.project.projects import Project, Workspace
from review_app import cli, login, login_settings, password_tries, reviewers, server
from review_app import routes as pictures
from review_app.login_settings import Login
from review_app.workspace import catalog_of

PASSWORD = "a long enough password"
HTML = {"accept": "text/html,*/*"}


@pytest.fixture
def protected(made: Project) -> Login:
    """The login of a workspace with a password."""
    login_settings.set_password(made.workspace, PASSWORD)
    settings = login_settings.read(made.workspace)
    assert settings is not None
    return settings


def client_of(settings: Login) -> TestClient:
    """An app with the real picture routes, a page that names its visitor, and a socket."""

    def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(reviewers.reviewer_of(request.headers))

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)
        await websocket.close()

    async def who_socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(reviewers.reviewer_of(websocket.headers))
        await websocket.close()

    routes = [Route("/", who), Route("/_stcore/health", who), WebSocketRoute("/_stcore/stream", who_socket)]
    routes.append(WebSocketRoute("/echo", echo))
    guarded = Starlette(
        routes=[*routes, *pictures.routes(), *login.routes(settings)],
        middleware=[Middleware(login.LoginRequired, login=settings)],
    )
    return TestClient(guarded, follow_redirects=False)


@pytest.fixture
def client(protected: Login, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(login, "_SECONDS_A_TRY", 0.0)
    with client_of(protected) as client:
        yield client


def test_nothing_comes_out_before_the_login(made: Project, client: TestClient) -> None:
    (one,) = populate.add_generation(made, 1)
    urls = [
        pictures.picture_url(made, one),
        pictures.thumbnail_url(made, one),
        pictures.original_url(made),
        "/",
    ]
    for url in [*urls, "/nothing", "/_stcore/upload_file/x", "/login/x"]:
        assert client.get(url).status_code == 401, url
        assert client.post(url).status_code == 401, url
        assert (
            client.get(url, headers={reviewers.HEADER: "anna", "cookie": "sid_login=x"}).status_code == 401
        ), url
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass
    page = client.get("/grid?project=badge", headers=HTML)
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/grid%3Fproject%3Dbadge")
    assert client.get("/_stcore/health").status_code == 200


def test_the_password_lets_in_and_the_name_is_the_reviewers(made: Project, client: TestClient) -> None:
    name = "Ännä <b>"
    wrong = client.post("/login", data={"name": name, "password": "wrong", "next": "/"})
    assert wrong.status_code == 403 and "Wrong password." in wrong.text
    assert "Ännä &lt;b&gt;" in wrong.text and "<b>" not in wrong.text
    assert "set-cookie" not in wrong.headers
    right = client.post("/login", data={"name": name, "password": PASSWORD, "next": "/grid?project=badge"})
    assert (right.status_code, right.headers["location"]) == (303, "/grid?project=badge")
    assert "HttpOnly" in right.headers["set-cookie"] and "SameSite=lax" in right.headers["set-cookie"]
    assert client.get("/", headers={reviewers.HEADER: "somebody else"}).text == name
    assert client.get(pictures.original_url(made)).status_code == 200
    with client.websocket_connect("/_stcore/stream") as socket:
        assert socket.receive_text() == name
    client.get("/logout")
    assert client.get("/").status_code == 401


def test_a_login_that_has_ended_lets_nobody_in(made: Project, protected: Login, client: TestClient) -> None:
    def log_in() -> dict[str, str]:
        client.cookies.clear()
        client.post("/login", data={"name": "anna", "password": PASSWORD})
        cookie = {"cookie": f"{login.COOKIE}={client.cookies[login.COOKIE]}"}
        client.cookies.clear()
        return cookie

    first, second = log_in(), log_in()
    assert client.get("/logout", headers={**first, "sec-fetch-site": "cross-site"}).headers["location"] == "/"
    assert client.get("/", headers=first).status_code == 200  # a link on another site logs nobody out
    with client.websocket_connect("/echo", headers=first) as socket:
        socket.send_text("still here")
        assert socket.receive_text() == "still here"
        client.get("/logout", headers=first)
        socket.send_text("still here")
        assert socket.receive()["type"] == "websocket.close"
    assert client.get("/", headers=first).status_code == 401
    assert client.get("/", headers=second).status_code == 200
    with client_of(protected) as restarted:
        assert restarted.get("/", headers=first).status_code == 401
    kept = made.workspace.folder / ".review-logged-out"
    assert kept.stat().st_mode & 0o077 == 0 and first["cookie"].partition("=")[2] not in kept.read_text()


def test_without_a_login_nobody_can_claim_to_be_somebody(made: Project) -> None:
    (one,) = populate.add_generation(made, 1)
    verdict = {"browser": "b", "acts": [{"id": "1", "do": "accept", "seen": {one: "undecided"}}]}
    claim = {reviewers.HEADER: "somebody", "origin": "http://localhost:8501"}
    with TestClient(guarded(), base_url="http://localhost:8501") as client:
        assert client.post(pictures.deck_url(made), json=verdict, headers=claim).json()["done"] == ["1"]
    assert [given.reviewer for given in history(catalog_of(made), made.name)] == ["tester"]


def test_the_app_is_guarded_as_a_whole(made: Project) -> None:
    (one,) = populate.add_generation(made, 1)
    with TestClient(guarded(), base_url="http://localhost:8501") as client:
        for url in (pictures.picture_url(made, one), pictures.cells_url(made), "/nothing"):
            answer = client.get(url)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], url
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert client.get(url, headers={"host": "rebound.example"}).status_code == 400
            assert client.get(url, headers={"origin": "http://localhost:9000"}).status_code == 403
        assert "private" in client.get(pictures.picture_url(made, one)).headers["cache-control"]
    for address, host, passes in [
        ("127.0.0.1", "review.example.org", True),
        ("127.0.0.1", "192.168.1.5:8501", False),
        ("0.0.0.0", "192.168.1.5:8501", True),
        ("0.0.0.0", f"{socket.gethostname()}:8501", True),
        ("0.0.0.0", "rebound.example", False),
    ]:
        with TestClient(guarded(address, "review.example.org"), base_url=f"http://{host}") as client:
            status = client.get(pictures.picture_url(made, one)).status_code
            assert status == (200 if passes else 400), (address, host)


def guarded(address: str = "127.0.0.1", *named: str) -> Starlette:
    """The app's own routes behind all that stands before them, without a login."""
    return Starlette(routes=pictures.routes(), middleware=server.middleware(None, address, named))


def test_wrong_passwords_wait_and_right_ones_do_not(
    protected: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that guesses waits longer each time, and then is not even heard; all others come in meanwhile."""
    monkeypatch.setattr(login, "_SECONDS_A_TRY", 3600.0)
    monkeypatch.setattr(password_tries, "_LONGEST_SECONDS", 3600.0)
    app = Starlette(routes=login.routes(protected))

    async def attempt(address: str, password: str) -> int:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.post("/login", data={"name": "anna", "password": password})).status_code

    async def everything() -> None:
        guesses = [asyncio.create_task(attempt("203.0.113.5", "wrong password")) for _ in range(3)]
        assert await attempt("203.0.113.5", PASSWORD) == 303  # its owner mistyped
        guesses += [asyncio.create_task(attempt("203.0.113.5", "wrong password")) for _ in range(7)]
        for guess in guesses[-2:]:
            assert await guess == 429
        assert await attempt("203.0.113.6", PASSWORD) == 303
        assert await attempt("2001:db8::1", PASSWORD) == 303
        assert not any(guess.done() for guess in guesses[:-2])
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)

    asyncio.run(everything())


def test_the_addresses_of_wrong_passwords_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = password_tries.Tries()

    async def everything() -> None:
        for number in range(3000):
            await tries.hold_back(f"10.0.{number // 250}.{number % 250}", 0.0)
            await tries.hold_back(f"2001:db8::{number:x}", 0.0)

    asyncio.run(everything())
    assert len(tries) <= 1000


@pytest.mark.parametrize("elsewhere", ["https://example.org", "//example.org", "/\\example.org", ""])
def test_the_way_back_leads_nowhere_else(client: TestClient, elsewhere: str) -> None:
    answer = client.post("/login", data={"name": "anna", "password": PASSWORD, "next": elsewhere})
    assert answer.headers["location"] == "/"


def test_a_new_password_logs_everybody_out(made: Project, protected: Login, client: TestClient) -> None:
    client.post("/login", data={"name": "anna", "password": PASSWORD})
    cookie = {"cookie": f"{login.COOKIE}={client.cookies[login.COOKIE]}"}
    assert client.get("/").text == "anna"
    login_settings.set_password(made.workspace, "another long password")
    renewed = login_settings.read(made.workspace)
    assert renewed is not None and renewed.cookie_secret != protected.cookie_secret
    with client_of(renewed) as later:
        assert later.get("/", headers=cookie).status_code == 401


def test_accounts_of_a_provider_come_in_when_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.web.server import server_util
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    monkeypatch.setattr(server_util, "get_cookie_secret", lambda: "s" * 64)
    monkeypatch.setattr(
        login, "_account_link", lambda: "/auth/login?provider=x"
    )  # secrets.toml would name it
    settings = Login(cookie_secret="c" * 64, emails=["anna@example.org", "*@studio.example"])

    def asks_as(secret: str, **user: object) -> int:
        value = create_signed_value(secret, "_streamlit_user", json.dumps(user)).decode()
        with client_of(settings) as client:
            cookie = {"cookie": f"_streamlit_user={value}"}
            status = client.get("/", headers=cookie).status_code
            turned_away = "has no access here" in client.get("/login", headers=cookie).text
            assert turned_away == (
                status == 401 and secret == "s" * 64 and user.get("email") == "x@example.org"
            )
            return status

    for email, status in [
        ("Anna@example.org", 200),
        ("x@studio.example", 200),
        ("x@example.org", 401),
        ("", 401),
    ]:
        assert asks_as("s" * 64, email=email, is_logged_in=True) == status, email
    assert asks_as("t" * 64, email="anna@example.org", is_logged_in=True) == 401
    assert asks_as("s" * 64, email="anna@example.org", is_logged_in=True, email_verified=False) == 401
    assert asks_as("s" * 64, email="anna@example.org") == 401


def test_names_for_the_app_need_no_login(made: Project) -> None:
    (made.workspace.folder / login_settings.FILE).write_text(
        '[server]\nhosts = ["box", "*.example.org:8443"]\n'
    )
    assert login_settings.hosts(made.workspace) == ["box", "*.example.org:8443"]
    assert cli.login_for(made.workspace, "127.0.0.1") is None
    login_settings.set_password(made.workspace, PASSWORD)
    assert login_settings.hosts(made.workspace) == ["box", "*.example.org:8443"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_other_addresses_need_a_login(made: Project, host: str) -> None:
    with pytest.raises(UserError, match="sid password"):
        cli.login_for(made.workspace, host)
    login_settings.set_password(made.workspace, PASSWORD)
    assert cli.login_for(made.workspace, host) is not None


def test_this_machine_needs_none(made: Project) -> None:
    assert all(cli.login_for(made.workspace, host) is None for host in ("localhost", "127.0.0.1", "::1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[login", "not valid TOML"),
        ("[login]\n", "'login.cookie_secret'"),
        ("", "'login.cookie_secret'"),
        ("[sever]\n", "'login.cookie_secret'"),
        ('[server]\nhosts = ["http://box/"]\n', "'server.hosts.0'"),
        ('[server]\nhost = "box"\n', "'server.host'"),
        (f'[login]\ncookie_secret = "{"x" * 32}"\n', "lets nobody in"),
        (f'[login]\ncookie_secret = "{"x" * 32}"\npassword = "plain"\n', "'login.password'"),
        (f'[login]\ncookie_secret = "{"x" * 32}"\npassword_hash = "plain"\n', "'login.password_hash'"),
        (f'[login]\ncookie_secret = "{"x" * 32}"\nemails = ["a@b.c"]\n', "secrets.toml"),
    ],
)
def test_a_wrong_file_closes_the_app(made: Project, text: str, message: str) -> None:
    (made.workspace.folder / login_settings.FILE).write_text(text)
    with pytest.raises(UserError, match=message.replace("[", r"\[")):
        cli.login_for(made.workspace, "127.0.0.1")


def test_the_command_sets_the_password(tmp_path: Path) -> None:
    sid._load_verbs()
    ask = ["--workspace", str(tmp_path), "password"]
    result = CliRunner().invoke(sid.app, ask, input=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0 and str(tmp_path / "review.toml") in result.output
    text = (tmp_path / "review.toml").read_text()
    assert "$argon2id$" in text and PASSWORD not in text
    assert (tmp_path / "review.toml").stat().st_mode & 0o077 == 0
    with pytest.raises(UserError, match="too few"):
        login_settings.set_password(Workspace(tmp_path), "short")
    assert (tmp_path / "review.toml").read_text() == text
