"""Nights that were missed, because the machine was off or asleep, are made up for once."""

from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.runtime import deployment
from prefect.states import Cancelled, State


def made_up_for() -> int:
    """Cancel the other runs of this deployment that were due before now, as this one does their work.

    Runs that a person asked for stay. Returns how many were cancelled; none where no deployment is run.
    """
    if deployment.id is None:
        return 0
    mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    due = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    with get_client(sync_client=True) as client:
        late = [
            run
            for run in client.read_flow_runs(deployment_filter=mine, flow_run_filter=due)
            if run.auto_scheduled
        ]
        for run in late:
            state: State[None] = Cancelled(message="missed; a later run makes up for it")
            client.set_flow_run_state(run.id, state, force=True)
    if late:
        get_run_logger().info("%d missed runs are made up for by this one", len(late))
    return len(late)
