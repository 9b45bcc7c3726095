"""Flow runs that a killed `sid serve` has left: Prefect goes on to show them as running, and nobody works on them."""

from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Crashed


async def start_again(deployments: list[UUID]) -> list[str]:
    """End the runs of these deployments that the predecessor was working on, and start each anew.

    Call it while nothing serves these deployments: whatever runs according to Prefect is an orphan then. A run that
    was being cancelled is cancelled.

    Returns:
        The names of the flow runs that are started anew.
    """
    names = []
    async with get_client() as client:
        left = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=deployments), state=_unfinished()
            )
        )
        for run in left:
            is_being_cancelled = run.state_type is StateType.CANCELLING
            await _end(client, run)
            below = FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]), state=_unfinished()
            )
            for inner in await client.read_flow_runs(flow_run_filter=below):
                await _end(client, inner)
            if not is_being_cancelled and run.deployment_id is not None:
                await client.create_flow_run_from_deployment(run.deployment_id, parameters=run.parameters)
                names.append(run.name)
    return names


def _unfinished() -> FlowRunFilterState:
    return FlowRunFilterState(
        type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    )


async def _end(client: PrefectClient, run: FlowRun) -> None:
    message = "the process that served it has ended"
    cancelled = run.state_type is StateType.CANCELLING
    await client.set_flow_run_state(
        run.id, Cancelled(message=message) if cancelled else Crashed(message=message), force=True
    )
