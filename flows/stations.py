"""What all tasks share: a station of one project, tried again when what went wrong may pass."""

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows.one_generation import PAUSES, can_pass


def _retry(_: "Task[..., Any]", __: TaskRun, state: "State[Any]") -> bool:
    return can_pass(state.data)


# A station keeps what it has made, so another try does only the rest. Nothing is cached by Prefect: what a
# generation has is in the catalog.
STATION: dict[str, Any] = {
    "cache_policy": NO_CACHE, "retries": len(PAUSES), "retry_delay_seconds": list(PAUSES),
    "retry_condition_fn": _retry,
}  # fmt: skip
