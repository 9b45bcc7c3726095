"""Under which names the app answers, and what it tells the browser to forbid: the guard around the whole app."""

import base64
import hashlib
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from starlette.middleware import Middleware
from streamlit import file_util

from bootstrap.serving.guard import LOOPBACK, Guard


def _inline_scripts() -> str:
    """Return the hashes of the scripts in Streamlit's own page, the only ones within a page that may run."""
    page = (Path(file_util.get_static_dir()) / "index.html").read_bytes()
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts]
    return " ".join(f"'sha256-{one}'" for one in hashes)


_CONTENT_POLICY = {
    "default-src": "'self'",
    # Streamlit loads our components' scripts as blobs, and its charts make functions.
    "script-src": f"'self' 'unsafe-eval' blob: {_inline_scripts()}",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _CONTENT_POLICY.items()),
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private",  # for answers that say nothing themselves, such as Streamlit's pictures
}


def guard(address: str, named: Sequence[str] = (), advice: str = "") -> Middleware:
    """Return the middleware that refuses requests from elsewhere.

    Args:
        address: that the app listens on.
        named: further names under which people reach it, from review.toml.
        advice: how to allow a name, for the refusal.
    """
    is_open = address not in LOOPBACK
    machine = socket.gethostname()
    own = (address, machine, f"{machine}.local") if is_open else ()
    return Middleware(
        Guard, hosts=(*LOOPBACK, *own), any_address=is_open, proxied=named, advice=advice, headers=HEADERS
    )
