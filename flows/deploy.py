"""The flows as deployments on a Prefect work pool, and the workers that run them, one per GPU."""

import asyncio
import os
import socket
import sys
from typing import Any

from bootstrap.cli.common import say
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.project.projects import Workspace
from flows import environment, leash, serve, server
from flows.enough import MIN_PICKS

_POOL_TYPE = "process"  # a worker runs each flow in a process on its own machine


def deploy(
    workspace: Workspace,
    work_pool: str,
    when: serve.Clock | None,
    when_reviewed: bool,
    min_picks: int = MIN_PICKS,
) -> None:
    """Create or update the deployments on a work pool, which is created if it does not exist.

    Args:
        work_pool: name of a pool of Prefect's type "process".
        when: when the nightly flow runs, None for never.
        when_reviewed: whether a finished review starts the next generation.
        min_picks: number of new picks that suffices for the next generation.

    Raises:
        UserError: no Prefect server answers, or the pool is of another type.
    """
    environment.prepare(workspace)
    server.require_named_server(workspace)
    deployments = serve.deployments(workspace, when, when_reviewed, min_picks)
    asyncio.run(_deploy(deployments, work_pool))
    names = ", ".join(deployment.full_name for deployment in deployments)
    say(f"on work pool '{work_pool}', for workspace {workspace.folder}: {names}")
    say(serve.schedule_line(when))
    say(f"next, once for each GPU: {command('worker', '--work-pool', work_pool)}")


async def _deploy(deployments: list[Any], work_pool: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        try:
            pool = await client.read_work_pool(work_pool)
        except ObjectNotFound:
            pool = await client.create_work_pool(WorkPoolCreate(name=work_pool, type=_POOL_TYPE))
    if pool.type != _POOL_TYPE:
        raise UserError(
            f"--work-pool {work_pool}: its type is '{pool.type}'; name a pool of type '{_POOL_TYPE}', or a new one"
        )
    for deployment in deployments:
        deployment_id = await deployment.aapply(work_pool_name=work_pool)
        await serve.remove_old_schedule(deployment_id, deployment)


def work(workspace: Workspace, work_pool: str) -> None:
    """Replace this process by a Prefect worker: one flow at a time, on the GPU that CUDA_VISIBLE_DEVICES names.

    Raises:
        UserError: no Prefect server answers.
    """
    environment.prepare(workspace)
    server.require_named_server(workspace)
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    os.environ[leash.PARENT] = str(os.getpid())  # exec keeps the process id
    arguments = ["--pool", work_pool, "--type", _POOL_TYPE, "--limit", "1", "--prefetch-seconds", "0"]
    name = ["--name", f"{socket.gethostname()}-gpu{gpu}"]
    sys.stdout.flush()
    os.execv(
        sys.executable, [sys.executable, "-m", "prefect", "worker", "start", *arguments, *name]
    )  # fmt: skip
