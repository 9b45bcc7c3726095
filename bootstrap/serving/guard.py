"""Which requests a local server answers: those under its own names, from its own pages or from no page at all.

Any web site that a person has open can have their browser send requests to a server on their machine. Two headers tell
them apart. `Host` is the name that the browser used: a site whose name was made to point to this machine (DNS
rebinding) still sends its own. `Origin` is the site of the page that sends the request; the browser adds it to each
POST and each socket, and `Sec-Fetch-Site` to the rest. No page can change these headers.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)
_OWN = ("same-origin", "none")  # none: the person typed the address or opened a bookmark


class Guard:
    """An ASGI app that refuses what comes from elsewhere, and passes all else to the app that it wraps.

    A request under another name gets status 400, one from another site's page 403, a socket is closed before it opens.
    A link on another site may still open a page: that is a plain GET of a whole page, which the site cannot read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        any_address: bool = False,
        proxied: Iterable[str] = (),
        advice: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Wrap an ASGI app.

        Args:
            app: the app.
            hosts: names and addresses under which it is reached, whatever the port; `*.example.org` is all names below
                example.org.
            any_address: whether it is also reached under any IP address, which no other site can have as its name.
            proxied: names as in `hosts`, with the port unless it is the usual one, under which a proxy shows it: their
                pages may send requests though the proxy has put another name into `Host`.
            advice: appended to the refusal of a name: how to allow it.
            headers: added to each answer that does not have them.
        """
        self._app = app
        self._proxied = tuple(place.lower() for place in proxied)
        self._hosts = (
            *(host.lower() for host in hosts),
            *(re.sub(r":\d+$", "", place) for place in self._proxied),
        )
        self._any_address = any_address
        self._advice = advice
        self._headers = dict(headers or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status, problem = self._problem(scope)
        if not problem:
            await self._app(self._as_seen_by_browser(scope), receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await receive()  # the connect event; closing before accepting gives a plain 403
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = PlainTextResponse(problem, status, {"Cache-Control": "no-store"})
            await answer(scope, receive, self._with_headers(send))

    def _problem(self, scope: Scope) -> tuple[int, str]:
        """Return the status and the reason of a refusal; an empty reason: the request is ours."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        name = _name(hosts[0]) if len(hosts) == 1 else None
        if name is None or not self._is_ours(name):
            shown = f"'{name}'" if name else "this address"
            return 400, f"{shown}: the server is not reached under this name{self._advice}\n"
        origin = headers.get("origin")
        if origin is not None:
            if self._is_own_origin(origin, hosts[0]):
                return 200, ""
        elif headers.get("sec-fetch-site", "none") in _OWN or _opens_a_page(scope, headers):
            return 200, ""
        return 403, "another web site may not use this server\n"

    def _as_seen_by_browser(self, scope: Scope) -> Scope:
        """Return the scope of an accepted request with the name in Host under which the browser knows the server."""
        origin = Headers(scope=scope).get("origin")
        place = urlsplit(origin).netloc.lower().encode() if origin else b""
        if not place:
            return scope
        headers = [(name, place if name == b"host" else value) for name, value in scope["headers"]]
        return {**scope, "headers": headers}

    def _is_ours(self, name: str) -> bool:
        if self._any_address and _is_address(name):
            return True
        return _is_among(name, self._hosts)

    def _is_own_origin(self, origin: str, host: str) -> bool:
        try:
            place = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return place == host.lower() or _is_among(place, self._proxied)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    present.setdefault(name, value)
            await send(message)

        return sending


def _opens_a_page(scope: Scope, headers: Headers) -> bool:
    """Return whether a link or a bookmark opens a whole page, which no other page can read or frame."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _is_among(place: str, patterns: tuple[str, ...]) -> bool:
    return any(place == one or (one.startswith("*.") and place.endswith(one[1:])) for one in patterns)


def _name(host: str) -> str | None:
    """Return the name or address in a Host header, in lower case, without port and brackets; None: it is malformed."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").lower().removesuffix(".") if match else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
