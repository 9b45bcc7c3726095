"""Drawing on many machines at once: the shards of a generation go to a Ray cluster, if one is named."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bootstrap.errors import UserError, in_one_line

if TYPE_CHECKING:  # `sid run` calls is_named before it knows whether it needs Prefect, and which server
    from prefect.tasks import Task

# "local" starts Ray on this machine, "auto" uses the one running here, anything else is a cluster's address.
ADDRESS = "SID_RAY_ADDRESS"
_POLL_SECONDS = 2.0


def is_named() -> bool:
    """Return whether the environment names a Ray cluster to draw on."""
    return bool(os.environ.get(ADDRESS))


class Cluster:
    """A Ray cluster that this process is connected to."""

    def __init__(self, runner: Any, workers: int, needs: dict[str, float]) -> None:
        self.workers = workers  # number of shards drawn at once
        self._runner = runner
        self._needs = needs

    def run_tasks(
        self, task: "Task[..., None]", calls: list[dict[str, Any]], on_poll: Callable[[], None]
    ) -> list[Exception]:
        """Run a task once for each item of `calls`, and return the errors of the calls that failed.

        Args:
            task: the Prefect task.
            calls: the parameters of each call.
            on_poll: called every few seconds while the tasks run.
        """
        from prefect_ray.context import remote_options

        with remote_options(**self._needs):
            pending = [self._runner.submit(task, parameters) for parameters in calls]
        errors: list[Exception] = []
        while pending:
            time.sleep(min(_POLL_SECONDS, 0.1 * len(pending)))
            on_poll()
            for future in list(pending):
                future.wait(timeout=0)
                if not future.state.is_final():
                    continue
                pending.remove(future)
                try:
                    future.result()
                except Exception as error:  # the caller knows which errors are worth a retry
                    errors.append(error)
        return errors


@contextmanager
def connected() -> Iterator[Cluster]:
    """Connect to the cluster that SID_RAY_ADDRESS names; our tasks there end with the block.

    Raises:
        UserError: prefect-ray is not installed, or no cluster answers.
    """
    address = os.environ[ADDRESS]
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    try:
        import ray
        from prefect_ray import RayTaskRunner
    except ImportError:
        raise UserError(f"{ADDRESS}: Ray is not installed: pip install 'sid-bootstrap[cluster]'") from None
    os.environ.setdefault(
        "RAY_agent_register_timeout_ms", "28000"
    )  # a busy machine needs more than Ray's 15 s
    local_options: dict[str, Any] = {}
    if address == "local":
        # Only descriptions of shots go through Ray; pictures go through the workspace.
        local_options = {"include_dashboard": False, "object_store_memory": 100 * 2**20}
        os.environ.setdefault(
            "RAY_AUTH_TOKEN", secrets.token_hex(32)
        )  # otherwise Ray writes one to the home folder
    try:
        ray.init(
            address, namespace="sid", log_to_driver=False, configure_logging=False, ignore_reinit_error=True,
            **local_options,
        )  # fmt: skip
    except Exception as error:  # Ray raises plain exceptions
        reason = in_one_line(str(error))[:200]
        raise UserError(
            f"{ADDRESS}={address}: no Ray cluster answers there ({reason}); start one, or unset the variable"
        ) from None
    try:
        resources = ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        from flows.run_log import run_log

        run_log().info("Ray at %s: %d GPUs, %d CPUs", address, gpus, cpus)
        needs = {"num_gpus": 1.0, "num_cpus": 1.0} if gpus else {"num_cpus": 1.0}
        with RayTaskRunner() as runner:
            yield Cluster(runner, gpus or cpus, needs)
    finally:
        ray.shutdown()
