"""The Prefect event of a finished review, sent as plain HTTP, so that the app need not import Prefect."""

import logging
import os
import uuid
from datetime import UTC, datetime

from bootstrap.project.projects import Workspace
from bootstrap.serving import http
from flows import environment

REVIEW_FINISHED = "sid.review.finished"
RESOURCE = "sid.project"  # the event's resource id is this, a dot and the project's name
_TIMEOUT_SECONDS = 5

_log = logging.getLogger(__name__)


def review_finished(project: str, number: int) -> None:
    """Report to the Prefect server at PREFECT_API_URL, if set, that a generation has no undecided candidate.

    A failure is only logged: a sweep looks for reviewed projects every ten minutes.
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
    headers = environment.api_headers(Workspace.locate())
    problem = http.post(f"{url.rstrip('/')}/events", [event], headers, _TIMEOUT_SECONDS)
    if problem:
        _log.warning(
            "could not report to the Prefect server at %s that '%s' is reviewed (%s)", url, project, problem
        )
