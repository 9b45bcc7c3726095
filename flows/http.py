"""Plain HTTP, by httpx, to servers on loopback or in the house: Prefect's API and the review app.

For what must not wait for the import of Prefect and its own client.
"""

from typing import Any

_SECONDS = 2  # for an answer


def answers(url: str, headers: dict[str, str] | None = None) -> bool:
    """Whether a GET of this address is answered with 200 within two seconds."""
    return not _problem("GET", url, None, headers, _SECONDS)


def post(url: str, body: Any, headers: dict[str, str], seconds: float) -> str:
    """Post a body as JSON; return what went wrong, "" where nothing did."""
    return _problem("POST", url, body, headers, seconds)


def _problem(method: str, url: str, body: Any, headers: dict[str, str] | None, seconds: float) -> str:
    import httpx  # takes a tenth of a second, which `sid --help` need not wait

    # No proxy is asked. To read all certificates takes longer than the request: only where they are needed.
    verify = url.startswith("https:")
    try:
        httpx.request(
            method, url, json=body, headers=headers, timeout=seconds, trust_env=False, verify=verify
        ).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
    return ""
