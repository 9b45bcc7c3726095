"""Have Prefect call a webhook when a run of the flows fails: python docs/notify.py https://ntfy.sh/my-secret-topic

Run it once, with PREFECT_API_URL naming the server; running it again with another address replaces the first. The
automation can be switched off in Prefect's pages.
"""

import sys

from bootstrap.project.projects import Workspace
from flows import environment

NAME = "sid: tell me when a run fails"


def main(url: str) -> None:
    """Create the webhook and the automation that calls it; replace those of an earlier run."""
    environment.prepare(Workspace.locate())  # finds the login of the workspace's own server
    from prefect.automations import Automation
    from prefect.blocks.webhook import Webhook
    from prefect.client.orchestration import get_client
    from prefect.events.actions import CallWebhook
    from prefect.events.schemas.automations import EventTrigger

    block = Webhook(method="POST", url=url).save("sid-notifications", overwrite=True)
    with get_client(sync_client=True) as client:
        for automation in client.read_automations_by_name(NAME):
            client.delete_automation(automation.id)
    Automation(
        name=NAME,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
        ),
        actions=[
            CallWebhook(
                block_document_id=block,
                payload="{{ flow.name }} {{ flow_run.name }} {{ flow_run.state.name }}: {{ flow_run.state.message }}",
            )
        ],
    ).create()
    print(f"failed runs are reported to {url}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
