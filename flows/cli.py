"""The verbs of `sid` that run flows. Each verb imports Prefect only when it runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap import reading
from bootstrap.cli.common import Name, say, say_lines, workspace_of
from bootstrap.commands import command
from flows.enough import MIN_PICKS

if TYPE_CHECKING:
    from bootstrap.project.projects import Workspace
    from flows.serve import Clock

Cron = Annotated[
    str | None,
    typer.Option(
        metavar="CRON", help='Run the nightly flow at these times; "0 1 * * *" is at 1:00 every night.'
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE", help="Time zone of --cron, such as Europe/Berlin.", show_default="this machine's"
    ),
]
Deadline = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM",
        help="With --cron: stop at this time of day and resume the next night.",
        show_default="none",
    ),
]
MaxWaiting = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1_000_000,
        help="With --cron: work on a project even if up to this many of its candidates wait for review.",
        show_default="0",
    ),
]
MinPicks = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1_000_000,
        help="With --cron or --when-reviewed: with fewer new picks, draw more candidates of the same generation.",
        show_default=str(MIN_PICKS),
    ),
]
WhenReviewed = Annotated[
    bool,
    typer.Option(
        "--when-reviewed", help="Start the next generation as soon as every candidate has a verdict."
    ),
]
WorkPool = Annotated[str, typer.Option(metavar="NAME", help="Name of a Prefect work pool.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the review app.")]


def run(
    context: typer.Context,
    name: Name,
    more: Annotated[
        bool, typer.Option("--more", help="Draw the same number of candidates again, with other seeds.")
    ] = False,
) -> None:
    """Run one generation here: train, draw, curate, publish. An interrupted one goes on where it ended."""
    project = workspace_of(context).project(name)
    say(f"project '{name}': checking its settings and files")  # at once: the imports below take a while

    from bootstrap.cli import status_page
    from flows import foreground

    try:
        summary = foreground.run_in_foreground(project, more)
    except KeyboardInterrupt:
        say(foreground.kept(project), of_trouble=True)
        say(f"to go on: {command('run', name)}", of_trouble=True)
        raise
    if summary is None:
        from bootstrap.loop import work_left

        say(work_left.nothing_to_do(project))
    else:
        _print_summary(summary)
    say(f"next: {status_page.collect(project.workspace, [name])[0]['next']}")


def serve(
    context: typer.Context,
    cron: Cron = None,
    timezone: Timezone = None,
    deadline: Deadline = None,
    max_waiting: MaxWaiting = None,
    min_picks: MinPicks = None,
    when_reviewed: WhenReviewed = False,
) -> None:
    """Serve the flows to a Prefect server (PREFECT_API_URL), to be started by the app, a person or a schedule."""
    from flows import serve as serving

    when = serving.clock(cron, timezone, deadline, max_waiting)
    enough = serving.enough_picks(min_picks, when, when_reviewed)
    serving.serve(workspace_of(context), when, when_reviewed, enough)


def up(
    context: typer.Context,
    port: Port = 8501,
    cron: Cron = None,
    timezone: Timezone = None,
    deadline: Deadline = None,
    max_waiting: MaxWaiting = None,
    min_picks: MinPicks = None,
    when_reviewed: WhenReviewed = False,
) -> None:
    """Start a Prefect server, the served flows and the review app; Ctrl-C stops them all."""
    from flows import serve as serving

    when = serving.clock(cron, timezone, deadline, max_waiting)
    enough = serving.enough_picks(min_picks, when, when_reviewed)
    _up(workspace_of(context), port, when, when_reviewed, enough)


def deploy(
    context: typer.Context,
    work_pool: WorkPool,
    cron: Cron = None,
    timezone: Timezone = None,
    deadline: Deadline = None,
    max_waiting: MaxWaiting = None,
    min_picks: MinPicks = None,
    when_reviewed: WhenReviewed = False,
) -> None:
    """Deploy the flows to a Prefect work pool (PREFECT_API_URL), for workers on one or many machines."""
    from flows import deploy as deploying
    from flows import serve as serving

    when = serving.clock(cron, timezone, deadline, max_waiting)
    enough = serving.enough_picks(min_picks, when, when_reviewed)
    deploying.deploy(workspace_of(context), work_pool, when, when_reviewed, enough)


def worker(context: typer.Context, work_pool: WorkPool) -> None:
    """Start a worker for a Prefect work pool: one flow at a time, on one GPU (CUDA_VISIBLE_DEVICES)."""
    from flows import deploy as deploying

    deploying.work(workspace_of(context), work_pool)


def report(context: typer.Context) -> None:
    """Show the report of the last night: what ran, what waits for review, what went wrong."""
    from flows import reports

    nights = sorted(reports.folder(workspace_of(context).folder).glob("*.md"))
    if not nights:
        say(f"no night yet; schedule one with `{command('up', '--cron')}`")
        return
    say(f"the night that ended at {nights[-1].stem}: {nights[-1]}")
    say("")
    say_lines(reading.text_file(nights[-1], f"report {nights[-1]}").rstrip())


def demo(
    context: typer.Context,
    port: Port = 8501,
    once: Annotated[
        bool, typer.Option("--once", help="Exit when the candidates are ready, without the review app.")
    ] = False,
) -> None:
    """Make a demo project from a bundled picture, run its first generation and start the review app."""
    from flows import demo as demonstration

    workspace = workspace_of(context)
    project = demonstration.project(workspace)
    if demonstration.needs_run(project):
        run(context, project.name)
    if once:
        say(f"pictures: {demonstration.pictures(project)}")
    else:
        _up(workspace, port)


def _up(
    workspace: "Workspace",
    port: int,
    when: "Clock | None" = None,
    when_reviewed: bool = False,
    min_picks: int = MIN_PICKS,
) -> None:
    from flows import children, up

    try:
        code = up.up(workspace, port, when, when_reviewed, min_picks)
    except children.StartError as error:
        say(f"sid: {error}", of_trouble=True)
        code = 1
    raise typer.Exit(code)


def _print_summary(summary: dict[str, object]) -> None:
    say(
        f"generation {summary['number']} of '{summary['project']}': {summary['published']} candidates "
        f"({summary['drawn']} drawn, {summary['duplicates']} duplicates)"
    )
    say(f"contact sheet: {summary['sheet']}")


def add_verbs(app: typer.Typer) -> None:
    """Add the verbs of this package to the command line."""
    for verb in (run, serve, up, deploy, worker, report, demo):
        app.command()(verb)
