"""Options of all tasks: a station is retried after an error that may be temporary."""

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows.one_generation import PAUSES, can_pass


def _retry(_: "Task[..., Any]", __: TaskRun, state: "State[Any]") -> bool:
    return can_pass(state.data)


# A station saves its results, so a retry does only the rest. Prefect caches nothing: the catalog knows what exists.
STATION: dict[str, Any] = {
    "cache_policy": NO_CACHE, "retries": len(PAUSES), "retry_delay_seconds": list(PAUSES),
    "retry_condition_fn": _retry,
}  # fmt: skip
