"""The verbs for a generation: `plan` before it, `advise` and `sheet` for its snapshots, `candidates`."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap.cli.common import (
    MOST_GENERATIONS,
    Name,
    generation_of,
    print_json,
    say,
    say_lines,
    workspace_of,
)
from bootstrap.errors import UserError
from bootstrap.files import copy_file
from bootstrap.progress import silent


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    for verb in (plan, advise, sheet):
        app.command()(verb)
    app.command("candidates")(list_candidates)


def plan(context: typer.Context, name: Name) -> None:
    """Show what the next `sid run` will draw, how long it takes and how much disk it needs; draw nothing."""
    from bootstrap.loop import forecast, work_left

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    next_run = forecast.of_next_run(project, catalog)
    say_lines(forecast.render(project.name, next_run))
    say(work_left.line(work_left.training_left(project, catalog)))


def advise(
    context: typer.Context,
    name: Name,
    generation: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_GENERATIONS, help="Measure the snapshots of this one.", show_default="the latest"
        ),
    ] = None,
) -> None:
    """Measure how close and how flexible each snapshot is, and recommend which ones to draw with."""
    from bootstrap.adviser import advising, choosing  # imports torch: seconds that other verbs need not wait

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    advice, plot = advising.advise(generation_of(project, catalog, generation), silent)
    say("snapshot  closeness  flexibility  (freedom, elimination)  phase")
    for measured, phase in zip(advice.measurements, choosing.phases(advice.measurements), strict=True):
        elimination = "   -" if measured.elimination is None else f"{measured.elimination:.2f}"
        parts = f"({measured.freedom:.2f},    {elimination})"
        say(
            f"{measured.epoch:>8}  {measured.closeness:>9.2f}  {measured.flexibility:>11.2f}  {parts:<22}  {phase}"
        )
    say(
        f"to vary: snapshot {advice.variation}; to eliminate, add and replace: {advice.middle}; "
        f"to replicate: {advice.replication}"
    )
    say(f"plot: {plot}")


def sheet(
    context: typer.Context,
    name: Name,
    x: Annotated[
        str, typer.Option(help="Parameter across, such as strength=0.4,0.6,0.8,1.0.")
    ] = "strength=0,0.4,0.6,0.8,1.0",
    y: Annotated[str, typer.Option(help="Parameter down, such as snapshot=2,4,6.")] = "snapshot=2,4,6",
    z: Annotated[
        str | None,
        typer.Option(help="A third parameter, with one sheet below the other: sampler=Euler a,LCM."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Draw this instead of the project's caption.")] = None,
    generation: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_GENERATIONS, help="Draw with this one's LoRA.", show_default="the latest"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The PNG to write.", show_default="in the generation's folder"),
    ] = None,
) -> None:
    """Draw the caption over two or three parameters, side by side, to choose strength and snapshot by eye."""
    from bootstrap.drawing import sheet as sheets  # imports torch: seconds that other verbs need not wait

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    path = sheets.draw_sheet(
        generation_of(project, catalog, generation), sheets.parse_axis(x), sheets.parse_axis(y), prompt, silent,
        sheets.parse_axis(z) if z else None,
    )  # fmt: skip
    if output:
        copy_file(path, output)
    say(f"sheet: {output or path}")


def list_candidates(
    context: typer.Context,
    name: Name,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the whole shot of each candidate.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Include duplicates, flawed and broken ones.")
    ] = False,
    generation: Annotated[
        int | None, typer.Option(min=1, max=MOST_GENERATIONS, help="Only this generation.")
    ] = None,
    verdict: Annotated[str | None, typer.Option(help="Only undecided, accept or reject.")] = None,
    ranked: Annotated[
        bool, typer.Option("--ranked", help="Likely picks first, instead of the order of drawing.")
    ] = False,
) -> None:
    """List the candidates: id, verdict, how each was drawn."""
    from bootstrap.catalog import candidates
    from bootstrap.catalog.states import CandidateState, Verdict
    from bootstrap.cli import status_page

    if verdict is not None and verdict not in list(Verdict):
        raise UserError(f"--verdict {verdict}: use undecided, accept or reject")
    project = workspace_of(context).project(name)
    listed = candidates.candidates(
        project.workspace.open_catalog(),
        project.name,
        generation=generation,
        state=None if everything else CandidateState.PUBLISHED,
        verdict=None if verdict is None else Verdict(verdict),
        ranked=ranked,
    )
    if as_json:
        pages = [status_page.candidate_as_dict(project, candidate) for candidate in listed]
        print_json(pages, indent=2)
        return
    for candidate in listed:
        is_published = candidate.state is CandidateState.PUBLISHED
        standing = candidate.verdict if is_published else candidate.state
        original = f"  (of {candidate.duplicate_of})" if candidate.duplicate_of else ""
        shot = candidate.shot
        say(
            f"{candidate.id}  {candidate.generation:>3}  {standing:<9}  {shot.recipe:<9}  "
            f"strength {shot.strength:.2f}  snapshot {shot.snapshot:>2}  {shot.prompt}{original}"
        )
