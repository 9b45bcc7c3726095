"""The login: without it, no page, picture or socket of the app is served.

It is a middleware around the whole app, so that no page and no route can forget the check. A person who logs in with
the password gets a signed cookie; one who logs in through OIDC has Streamlit's cookie (that of `st.login`).
"""

import asyncio
import re
import secrets
from contextlib import suppress
from fnmatch import fnmatch
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from itsdangerous import BadSignature, URLSafeTimedSerializer
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bootstrap import reading
from bootstrap.errors import UserError
from review_app import logged_out
from review_app.login_settings import Login
from review_app.password_tries import Tries
from review_app.reviewers import HEADER, unclaimed

COOKIE = "sid_login"
_SECONDS = 30 * 24 * 3600  # that a login lasts
_SECONDS_A_TRY = 1.0  # the delay after an address's first wrong password
# Paths without a login: our login page, Streamlit's redirects to the OIDC provider and back, the health check.
_OPEN = ("/login", "/auth/login", "/oauth2callback", "/_stcore/health")
_PAGE = Template((Path(__file__).parent / "components" / "login.html").read_text("utf-8"))
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}


class LoginRequired:
    """Lets logged-in people through, with their name in a header; sends everybody else to the login page."""

    def __init__(self, app: ASGIApp, login: Login) -> None:
        """Wrap an ASGI app."""
        self._app, self._login = app, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        cookies = _cookies(scope)
        who = _who(self._login, cookies)
        scope = unclaimed(scope)
        if who is not None:
            scope["headers"].append((HEADER.encode(), quote(who).encode()))
        elif scope["path"] not in _OPEN:
            await _refuse(scope, receive, send)
            return

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and _who(self._login, cookies) != who:
                return {"type": "websocket.disconnect", "code": 1008}  # logged out in another tab since
            return message

        await self._app(scope, receiving if scope["type"] == "websocket" else receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the connect event; closing before accepting gives a plain 403
        await send({"type": "websocket.close", "code": 1008})
        return
    answer: Response = PlainTextResponse(
        "log in first", status_code=401, headers={"Cache-Control": "no-store"}
    )
    accepts = dict(scope["headers"]).get(b"accept", b"")
    if scope["method"] == "GET" and b"text/html" in accepts:
        query = scope["query_string"].decode("latin-1")
        back = scope["path"] + (f"?{query}" if query else "")
        answer = RedirectResponse(f"/login?next={quote(back)}", status_code=303)
    await answer(scope, receive, send)


def _cookies(scope: Scope) -> dict[str, str]:
    text = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}


def _who(login: Login, cookies: dict[str, str]) -> str | None:
    """Return who sent a request; None: somebody who has not logged in."""
    if login.password_hash is not None and COOKIE in cookies and not logged_out.has_ended(cookies[COOKIE]):
        # An expired or forged cookie does not lock out a person who is logged in through OIDC.
        with suppress(BadSignature, ValueError):
            name, _ = _signer(login).loads(cookies[COOKIE], max_age=_SECONDS)
            return str(name)
    return _signed_in(login, cookies) if login.emails else None


def _signed_in(login: Login, cookies: dict[str, str]) -> str | None:
    """Return the email of the logged-in account, if `emails` allows it."""
    email = _account(cookies)
    allowed = any(fnmatch(email, pattern.casefold()) for pattern in login.emails)
    return email if email and allowed else None


def _account(cookies: dict[str, str]) -> str:
    """Return the email in Streamlit's cookie; empty: nobody is logged in, or the provider has not verified it."""
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    def cookie(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1")) if value else None

    if any(map(logged_out.has_ended, _account_cookies(cookies))):
        return ""
    raw = get_cookie_with_chunks(cookie, USER_COOKIE_NAME)
    try:
        user = (
            reading.shaped(dict[str, Any], reading.parse_json(raw, "cookie", ""), "cookie", "") if raw else {}
        )
    except UserError:  # signed by us, yet of another Streamlit
        user = {}
    if user.get("is_logged_in") is not True or user.get("email_verified", True) is False:
        return ""
    return str(user.get("email") or "").casefold()


def _account_cookies(cookies: dict[str, str]) -> list[str]:
    """Return the values of Streamlit's cookies of an account; a long one is split into several."""
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    parts = re.compile(rf"{re.escape(USER_COOKIE_NAME)}(__\d+)?")
    return [value for name, value in cookies.items() if parts.fullmatch(name)]


def _signer(login: Login) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(login.cookie_secret, salt="sid review login")


# ---- the page


def routes(login: Login) -> list[Route]:
    """Return the routes of the login page and of logging out."""
    guarding = asyncio.Lock()  # one check at a time: argon2 takes memory and time on purpose
    tries = Tries()

    async def ask(request: Request) -> Response:
        stranger = _account(dict(request.cookies)) if login.emails else ""
        if stranger and _signed_in(login, dict(request.cookies)) is None:
            return _page(request, login, f"{stranger} has no access here; ask the person who runs this app.")
        return _page(request, login)

    async def enter(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=5)
        name, password = str(form.get("name", "")).strip()[:64], str(form.get("password", ""))[:1024]
        if login.password_hash is None:
            return _page(request, login, "This app has no password login.")
        if not name:
            return _page(request, login, "Your name is missing; verdicts are recorded under it.")
        address = request.client.host if request.client else ""
        with tries.one(address) as is_heard:
            if not is_heard:
                problem = "Too many wrong passwords from your address; try again in a minute."
                return _page(request, login, problem, name, status=429)
            async with guarding:
                right = await asyncio.to_thread(_is_right, login.password_hash, password)
            if not right:
                await tries.hold_back(address, _SECONDS_A_TRY)
                return _page(request, login, "Wrong password.", name)
        tries.forget(address)
        answer = RedirectResponse(_way_back(str(form.get("next", ""))), status_code=303)
        # The second part makes this login different from others of the same name, so that it can end alone.
        answer.set_cookie(
            COOKIE, str(_signer(login).dumps([name, secrets.token_hex(8)])), max_age=_SECONDS, httponly=True,
            samesite="lax", secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    async def leave(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return RedirectResponse("/", status_code=303)  # a link on another site logs nobody out
        known = dict(request.cookies)
        ending = [known[COOKIE]] if COOKIE in known else []
        await asyncio.to_thread(logged_out.end, ending + _account_cookies(known), _SECONDS)
        answer = RedirectResponse("/auth/logout" if login.emails else "/login", status_code=303)
        answer.delete_cookie(COOKIE)
        return answer

    return [
        Route("/login", ask, methods=["GET"]),
        Route("/login", enter, methods=["POST"]),
        Route("/logout", leave, methods=["GET"]),
    ]


def _is_right(password_hash: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(password_hash, password)
    except VerificationError:
        return False


def _way_back(wanted: str) -> str:
    """Return a path of this app; anything else, which could lead to another site, becomes `/`."""
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else "/"


def _page(request: Request, login: Login, problem: str = "", name: str = "", status: int = 403) -> Response:
    way_back = _way_back(request.query_params.get("next", "/"))
    text = _PAGE.substitute(
        problem=escape(problem),
        name=escape(name),
        next=escape(way_back),
        password="" if login.password_hash else "hidden",
        account="" if login.emails else "hidden",
        account_link=escape(_account_link() if login.emails else ""),
    )
    return HTMLResponse(text, status_code=status if problem else 200, headers=_HEADERS)


def _account_link() -> str:
    from streamlit.user_info import generate_login_redirect_url

    return generate_login_redirect_url("default")
