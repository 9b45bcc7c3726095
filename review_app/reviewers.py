"""Who gives a verdict: the person who logged in, or else the one who started the app."""

from collections.abc import Mapping
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from bootstrap.cli.common import reviewer

# review_app.login sets it on every request of a person who is logged in, for pages and routes.
HEADER = "x-sid-reviewer"


class Unclaimed:
    """An ASGI app that drops the header if a client has sent it, and passes the rest to the app that it wraps."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a socket."""
        await self._app(unclaimed(scope), receive, send)


def unclaimed(scope: Scope) -> Scope:
    """Return the scope of a request without the header."""
    if "headers" not in scope:
        return scope
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != HEADER.encode()]
    return {**scope, "headers": headers}


def reviewer_of(headers: Mapping[str, str]) -> str:
    """Return the reviewer of a request (`request.headers`) or of a page (`st.context.headers`)."""
    return unquote(headers.get(HEADER) or "") or reviewer()
