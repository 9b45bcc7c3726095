"""No dialog of Streamlit's over our pages while the server is away.

Streamlit's page covers itself with a dialog, "Connection error", which takes the keys from the deck, though the deck
goes on without the server and says so itself. The page does without the dialog if the server's answer to
`/_stcore/host-config` says `blockErrorDialogs`, which only hosts of many apps can set. Streamlit's own small line about
the connection, in the corner, stays (components/style.css). The other
dialog that people could meet, "Page not found", is a line on the page instead (pages/app.py).
"""

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bootstrap import reading

_PATH = "/_stcore/host-config"


class NoErrorDialogs:
    """Changes Streamlit's host configuration, and passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a socket."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != _PATH:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                changed = _without_dialogs(bytes(body)) if start["status"] == 200 else bytes(body)
                kept = [
                    (name, value) for name, value in start["headers"] if name.lower() != b"content-length"
                ]
                length = (b"content-length", str(len(changed)).encode())
                await send({**start, "headers": [*kept, length]})
                await send({"type": "http.response.body", "body": changed})

        await self._app(scope, receive, sending)


def _without_dialogs(body: bytes) -> bytes:
    configuration: dict[str, Any] = reading.parse_json(body.decode(), "Streamlit's host configuration", "")
    return json.dumps({**configuration, "blockErrorDialogs": True}).encode()
