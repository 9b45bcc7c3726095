"""Plain HTTP with httpx to local servers, Prefect's API and the review app.

For callers that must not wait for the import of Prefect and its client.
"""

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_TIMEOUT_SECONDS = 2


def authorization(login: str | None, key: str | None) -> dict[str, str]:
    """Return the Authorization header for a login `user:password`, else for an API key; empty without both."""
    if login:
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}


def answers(url: str, headers: dict[str, str] | None = None) -> bool:
    """Return whether a GET of this address succeeds (status 2xx) within two seconds."""
    return status(url, headers) // 100 == 2


def status(url: str, headers: dict[str, str] | None = None) -> int:
    """Return the status of a GET of this address, 0 without an answer within two seconds."""
    answer = _asked("GET", url, None, headers, _TIMEOUT_SECONDS)
    return 0 if isinstance(answer, str) else answer.status_code


def get_json(url: str, headers: dict[str, str] | None, seconds: float) -> Any:
    """Return the JSON from a GET of this address; None without an answer, or with one that is no success or no JSON."""
    return _json_of(_asked("GET", url, None, headers, seconds))


def post_json(url: str, body: Any, headers: dict[str, str], seconds: float) -> Any:
    """Post a body as JSON and return the JSON of the answer; None as in get_json."""
    return _json_of(_asked("POST", url, body, headers, seconds))


def _json_of(answer: "httpx.Response | str") -> Any:
    if isinstance(answer, str) or not answer.is_success:
        return None
    try:
        return answer.json()
    except ValueError:
        return None


def post(url: str, body: Any, headers: dict[str, str], seconds: float) -> str:
    """Post a body as JSON; return what went wrong, "" for success."""
    answer = _asked("POST", url, body, headers, seconds)
    if isinstance(answer, str):
        return answer
    return "" if answer.is_success else f"status {answer.status_code} {answer.reason_phrase}"


def _asked(
    method: str, url: str, body: Any, headers: dict[str, str] | None, seconds: float
) -> "httpx.Response | str":
    """Return the answer to a request, or why there is none."""
    import httpx  # takes a tenth of a second, which `sid --help` need not wait for

    # No proxy is used. Loading the certificates takes longer than the request, so only https does it.
    verify = url.startswith("https:")
    try:
        return httpx.request(
            method, url, json=body, headers=headers, timeout=seconds, trust_env=False, verify=verify
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
