"""Flow runs that a killed `sid serve` has left: Prefect shows them as running or crashed, and nobody works on them."""

from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterEndTime,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Crashed

MOST_TIMES = 3  # that a run is started again: it may be what kills the process
_AGAIN = "started again "  # with the number of times: a tag of the run
_BEFORE = timedelta(seconds=2)  # between the death and its discovery


async def start_again(deployments: list[UUID], died: datetime) -> list[str]:
    """End the runs of these deployments that the predecessor was working on, and start each anew.

    Call it while nothing serves these deployments: whatever runs according to Prefect is an orphan then. A run's own
    process ends with the process that serves it, and may have reported that it crashed. A run that was being cancelled
    is cancelled.

    Args:
        died: when the predecessor was found dead.

    Returns:
        The names of the flow runs that are started anew.
    """
    names = []
    served = FlowRunFilterDeploymentId(any_=deployments)
    crashed = FlowRunFilter(
        deployment_id=served, state=_of_type(StateType.CRASHED),
        end_time=FlowRunFilterEndTime(after_=died - _BEFORE),
    )  # fmt: skip
    async with get_client() as client:
        running = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(deployment_id=served, state=_unfinished())
        )
        for run in running:
            await _end(client, run)
            below = FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]), state=_unfinished()
            )
            for inner in await client.read_flow_runs(flow_run_filter=below):
                await _end(client, inner)
        left = {run.id: run for run in running if run.state_type is not StateType.CANCELLING}
        left |= {run.id: run for run in await client.read_flow_runs(flow_run_filter=crashed)
                 if run.id not in {one.id for one in running}}  # fmt: skip
        for run in left.values():
            times = max(
                (int(tag.removeprefix(_AGAIN)) for tag in run.tags if tag.startswith(_AGAIN)), default=0
            )
            if times < MOST_TIMES and run.deployment_id is not None:
                await client.create_flow_run_from_deployment(
                    run.deployment_id, parameters=run.parameters, tags=[f"{_AGAIN}{times + 1}"]
                )
                names.append(run.name)
    return names


def _of_type(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _unfinished() -> FlowRunFilterState:
    return _of_type(StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


async def _end(client: PrefectClient, run: FlowRun) -> None:
    message = "the process that served it has ended"
    cancelled = run.state_type is StateType.CANCELLING
    await client.set_flow_run_state(
        run.id, Cancelled(message=message) if cancelled else Crashed(message=message), force=True
    )
