"""Who gives a verdict: the person who logged in, or else the one who started the app."""

from collections.abc import Mapping
from urllib.parse import unquote

from bootstrap.cli.common import reviewer

# review_app.login sets it on every request, for pages and routes; it drops what a client sent under this name.
HEADER = "x-sid-reviewer"


def reviewer_of(headers: Mapping[str, str]) -> str:
    """Return the reviewer of a request (`request.headers`) or of a page (`st.context.headers`)."""
    return unquote(headers.get(HEADER) or "") or reviewer()
