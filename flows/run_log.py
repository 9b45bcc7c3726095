"""What `sid` itself writes to the log of a flow run, told apart from what Prefect writes there."""

from typing import Any

from prefect import get_run_logger

from bootstrap.serving.own_server import LOG_NAME


def run_log() -> Any:
    """Return the log of the present flow or task run; its lines carry our name, by which the app finds them."""
    return get_run_logger().getChild(LOG_NAME)  # type: ignore[union-attr]  # the type of the adapter lacks it
