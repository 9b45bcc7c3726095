"""Plain HTTP with httpx to local servers, Prefect's API and the review app.

For callers that must not wait for the import of Prefect and its client.
"""

from typing import Any

_TIMEOUT_SECONDS = 2


def answers(url: str, headers: dict[str, str] | None = None) -> bool:
    """Return whether a GET of this address succeeds (status 2xx) within two seconds."""
    return not _problem("GET", url, None, headers, _TIMEOUT_SECONDS)


def post(url: str, body: Any, headers: dict[str, str], seconds: float) -> str:
    """Post a body as JSON; return what went wrong, "" for success."""
    return _problem("POST", url, body, headers, seconds)


def _problem(method: str, url: str, body: Any, headers: dict[str, str] | None, seconds: float) -> str:
    import httpx  # takes a tenth of a second, which `sid --help` need not wait for

    # No proxy is used. Loading the certificates takes longer than the request, so only https does it.
    verify = url.startswith("https:")
    try:
        httpx.request(
            method, url, json=body, headers=headers, timeout=seconds, trust_env=False, verify=verify
        ).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
    return ""
