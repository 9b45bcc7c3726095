"""The event that tells Prefect of a finished review. Sent as plain HTTP: the app need not wait for Prefect's import."""

import logging
import os
import uuid
from datetime import UTC, datetime

from flows import environment, http

REVIEW_FINISHED = "sid.review.finished"
RESOURCE = "sid.project"  # with a dot and the project's name, the id of what the event is about
_SECONDS = 5

_log = logging.getLogger(__name__)


def review_finished(project: str, number: int) -> None:
    """Tell the Prefect server of PREFECT_API_URL, if there is one, that a generation has no undecided candidate.

    A lost event costs ten minutes at most: a sweep looks for reviewed projects; so a failure is only logged.
    """
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return
    event = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": REVIEW_FINISHED,
        "resource": {"prefect.resource.id": f"{RESOURCE}.{project}", "prefect.resource.name": project},
        "payload": {"project": project, "generation": number},
    }
    problem = http.post(f"{url.rstrip('/')}/events", [event], environment.api_headers(), _SECONDS)
    if problem:
        _log.warning(
            "the Prefect server at %s was not told that '%s' is reviewed (%s)", url, project, problem
        )
