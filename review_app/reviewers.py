"""Who gives a verdict: whoever logged in, else who started the app."""

from collections.abc import Mapping
from urllib.parse import unquote

from bootstrap.cli.common import reviewer

# Set by review_app.login for what comes in, on pages and routes alike; nobody outside can set it.
HEADER = "x-sid-reviewer"


def of(headers: Mapping[str, str]) -> str:
    """Return the reviewer of a request (`request.headers`) or of a page (`st.context.headers`)."""
    return unquote(headers.get(HEADER) or "") or reviewer()
