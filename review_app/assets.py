"""Streamlit's own scripts, styles and fonts, served from memory.

A first page requests sixty of them. Streamlit reads each from the disk in threads, in small parts, at every request;
that took a third of the server's time for a first page. The files never change while the server runs.
"""

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import file_util

_PREFIX = "/static/"
_FOR_EVER = b"public, immutable, max-age=31536000"  # the names contain a hash of the content
_PACKED = ("text/css", "text/javascript", "application/javascript")
_LEAST_PACKED = 1000  # bytes: below, packing gains nothing
# Streamlit requests these one after another, as the parts of the page arrive: the project menu, our own HTML, the
# deck. A Link header on the page makes the browser preload them. Names that a later Streamlit lacks are left out.
_SOON = (
    "MenuButton", "Autocomplete", "useLoadMoreSentinel", "useCollator", "Html", "purify.es", "BidiComponent",
    "serialization", "recordbatch", "_arrayReduce",
)  # fmt: skip
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class _Asset:
    """A file with its content type."""

    kind: str
    body: bytes

    @cached_property
    def packed(self) -> bytes | None:
        """The gzipped body; None: gzip would not make it smaller."""
        if self.kind not in _PACKED or len(self.body) < _LEAST_PACKED:
            return None
        return gzip.compress(self.body, 6)


class Assets:
    """Answers requests for existing files under `/static/`, and passes all others to the app that it wraps."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI app."""
        self._app = app
        self._folder = Path(file_util.get_static_dir()).resolve() / "static"
        self._kept: dict[str, _Asset] = {}
        self._soon = _links(self._folder).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a socket."""
        is_get = scope["type"] == "http" and scope["method"] == "GET"
        is_asset = is_get and scope["path"].startswith(_PREFIX)
        asset = self._find(scope["path"].removeprefix(_PREFIX)) if is_asset else None
        if asset is None:
            await self._app(scope, receive, self._announcing(send) if is_get else send)
            return
        headers = [
            (b"content-type", asset.kind.encode()),
            (b"cache-control", _FOR_EVER),
            (b"vary", b"accept-encoding"),
        ]
        body = asset.body
        if _is_far(scope) and (packed := asset.packed):
            body = packed
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _announcing(self, send: Send) -> Send:
        """Return a `send` that adds to a page a Link header with what its scripts will request later."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                # The login page has a policy of its own, under which nothing may be loaded.
                is_page = headers.get(b"content-type", b"").startswith(b"text/html")
                if is_page and b"content-security-policy" not in headers and self._soon:
                    message = {**message, "headers": [*message["headers"], (b"link", self._soon)]}
            await send(message)

        return sending

    def _find(self, name: str) -> _Asset | None:
        """Return the file of this name, which is read at the first request; None: there is none."""
        if name not in self._kept:
            path = (self._folder / name).resolve()
            if not path.is_relative_to(self._folder) or not path.is_file():
                return None
            self._kept[name] = _read(path)
        return self._kept[name]


def _links(folder: Path) -> str:
    """Return a Link header for what a first page needs in addition to what Streamlit's own HTML names."""
    scripts = [path.name for name in _SOON for path in sorted(folder.glob(f"js/{name}.*.js"))]
    fonts = [path.name for path in folder.glob("media/MaterialSymbols-Rounded.*.woff2")]
    links = [f"<{_PREFIX}js/{name}>; rel=modulepreload" for name in scripts]
    links += [f"<{_PREFIX}media/{name}>; rel=preload; as=font; crossorigin" for name in fonts]
    return ", ".join(links)


def _read(path: Path) -> _Asset:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _Asset(kind, path.read_bytes())


def _is_far(scope: Scope) -> bool:
    """Return whether another machine asks that accepts gzip; on this one unpacking takes longer than it saves."""
    client = (scope.get("client") or ("", 0))[0]
    accepts = dict(scope["headers"]).get(b"accept-encoding", b"")
    return client not in _LOOPBACK and b"gzip" in accepts
