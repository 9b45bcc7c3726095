"""Nights missed because the machine was off or asleep: one run makes up for all of them."""

from datetime import UTC, datetime

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

from flows.run_log import run_log


def cancel_missed_runs() -> int:
    """Cancel the other scheduled runs of this deployment that are overdue, because this run does their work.

    Runs that a person started stay. Returns the number of cancelled runs, 0 outside a deployment.
    """
    if deployment.id is None:
        return 0
    this_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    overdue = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    with get_client(sync_client=True) as client:
        late = [
            run
            for run in client.read_flow_runs(deployment_filter=this_deployment, flow_run_filter=overdue)
            if run.auto_scheduled
        ]
        for run in late:
            state: State[None] = Cancelled(message="missed; a later run makes up for it")
            client.set_flow_run_state(run.id, state, force=True)
    if late:
        run_log().info("this run makes up for %d missed runs", len(late))
    return len(late)
