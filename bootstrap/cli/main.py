"""The `sid` command: thin, one function a verb. `flows` and `review_app` add their verbs as entry points."""

import json
import logging
import sys
import traceback
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from bootstrap import __version__
from bootstrap.cli import curation as curation_cli
from bootstrap.cli import drawing as pictures_cli
from bootstrap.cli import lora as lora_cli
from bootstrap.cli import papertown as papertown_cli
from bootstrap.cli import verdicts as verdicts_cli
from bootstrap.cli.common import Name, generation_of, workspace_of
from bootstrap.errors import UserError, of_the_machine
from bootstrap.files import copy_file
from bootstrap.progress import silent

app = typer.Typer(
    name="sid",
    help="From one picture and its caption to a dataset good enough to train a full LoRA.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(lora_cli.app, name="lora")
app.add_typer(papertown_cli.app, name="papertown")
pictures_cli.add_verbs(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sid {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            help="Folder of catalog and projects.", show_default="$SID_WORKSPACE or ./sid-workspace"
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    from bootstrap.project.projects import Workspace

    context.obj = Workspace.locate(workspace)


@app.command()
def new(
    context: typer.Context,
    name: Name,
    image: Annotated[Path, typer.Option(help="The one picture to start from.")],
    caption: Annotated[
        str, typer.Option(help='What it shows: tags, the subject first ("woman, red apple").')
    ],
    base: Annotated[
        str, typer.Option(help="Base model: embedded name, diffusers folder, .safetensors file or hub id.")
    ] = "papertown",
) -> None:
    """Make a project from one picture and its caption."""
    from bootstrap.project import projects

    made = projects.create(workspace_of(context), name, image, caption, base)
    typer.echo(f"project '{made.name}' made, with base model {made.base_model.name}: {made.folder}")
    typer.echo(f"settings: {made.toml}")
    typer.echo(f"next: sid run {made.name}")


@app.command("set")
def set_settings(
    context: typer.Context,
    name: Name,
    assignments: Annotated[
        list[str], typer.Argument(metavar="SECTION.NAME=VALUE...", help="Such as training.repeats=30.")
    ],
) -> None:
    """Change settings of a project; a name without a value gets its default back."""
    from bootstrap.project import editing

    for line in editing.set_values(workspace_of(context).project(name), assignments):
        typer.echo(line)


@app.command()
def status(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One project only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the projects, their generations and what waits for review."""
    from bootstrap.cli import status_page

    workspace = workspace_of(context)
    names = [workspace.project(name).name] if name else workspace.project_names()
    page = status_page.collect(workspace, names)
    typer.echo(json.dumps(page, indent=2, default=str) if as_json else status_page.render(workspace, page))


@app.command("doctor")
def see_doctor(
    context: typer.Context,
    repair: Annotated[bool, typer.Option("--repair", help="Do what it proposes.")] = False,
) -> None:
    """Check machine, models, workspace and catalog; with --repair, put in order what can be."""
    from bootstrap.upkeep import doctor  # the catalog's and torch's imports take seconds

    workspace = workspace_of(context)
    for name, value in doctor.machine(workspace):
        typer.echo(f"{name:<10} {value}")
    left = 0
    for finding in doctor.examine(workspace):
        typer.echo(f"\n{finding.what}\n  to do: {finding.remedy}")
        if repair and finding.repair:
            typer.echo(f"  done: {finding.repair()}")
        else:
            left += 1
    if left:
        typer.echo(
            f"\n{left} things are not in order" + ("" if repair else "; sid doctor --repair does what it can")
        )
        raise typer.Exit(1)
    typer.echo("\neverything is in order")


@app.command("reindex")
def make_index(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One project only.")] = None,
) -> None:
    """Make a lost catalog again from the projects' folders; what the catalog has stays as it is."""
    from bootstrap.catalog import Catalog
    from bootstrap.upkeep import reindex

    workspace = workspace_of(context)
    names = [workspace.project(name).name] if name else workspace.project_names()
    if not names:
        typer.echo(f"workspace {workspace.folder}: there are no projects")
        return
    catalog = Catalog(workspace.catalog_url)
    for one in names:
        done = reindex.reindex(workspace.project(one), catalog)
        typer.echo(
            f"{one}: {done.generations} generations, {done.snapshots} snapshots, {done.candidates} candidates, "
            f"{done.picks} picks and {done.sheets} sheets put into the catalog"
        )
    catalog.close()


@app.command()
def tag(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")],
    tagger: Annotated[
        Path | None,
        typer.Option(
            help="A WD14-style .onnx file, selected_tags.csv beside it.", show_default="Paper Town's own"
        ),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="One tag a line, and how sure it is.")] = False,
) -> None:
    """Suggest a caption: the tags that a tagger sees in a picture."""
    from bootstrap import images
    from bootstrap.pictures.tagging import (
        open_tagger,  # imports torch: seconds that other verbs need not wait
    )

    picture = images.open_picture(file)
    [seen] = open_tagger(tagger).read([picture])
    if scores:
        for one in seen:
            typer.echo(f"{one.score:.3f}  {one.tag}")
    else:
        typer.echo(", ".join(one.tag for one in seen))


@app.command("candidates")
def list_candidates(
    context: typer.Context,
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with the whole shot of each.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Duplicates too.")] = False,
    generation: Annotated[int | None, typer.Option(min=1, help="Of this generation only.")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only undecided, accept or reject.")] = None,
    ranked: Annotated[bool, typer.Option("--ranked", help="Likely picks first, not as drawn.")] = False,
) -> None:
    """List the candidates: id, verdict, how it was drawn."""
    from bootstrap.catalog import Catalog, candidates
    from bootstrap.catalog.states import CandidateState, Verdict
    from bootstrap.cli import status_page

    if verdict is not None and verdict not in list(Verdict):
        raise UserError(f"--verdict {verdict}: use undecided, accept or reject")
    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    state = None if everything else CandidateState.PUBLISHED
    asked = None if verdict is None else Verdict(verdict)
    found = candidates.candidates(
        catalog, chosen.name, generation=generation, state=state, verdict=asked, ranked=ranked
    )
    if as_json:
        typer.echo(json.dumps([status_page.candidate_as_dict(chosen, one) for one in found], indent=2))
        return
    for one in found:
        shown_as = one.verdict if one.state is CandidateState.PUBLISHED else one.state
        of = f"  (of {one.duplicate_of})" if one.duplicate_of else ""
        shot = one.shot
        typer.echo(
            f"{one.id}  {one.generation:>3}  {shown_as:<9}  {shot.recipe:<9}  "
            f"strength {shot.strength:.2f}  snapshot {shot.snapshot:>2}  {shot.prompt}{of}"
        )


@app.command()
def grow(context: typer.Context, name: Name) -> None:
    """Add the picks with their captions to the dataset; the next `sid run` trains on it."""
    from bootstrap.catalog import Catalog
    from bootstrap.dataset import growth

    chosen = workspace_of(context).project(name)
    grown = growth.grow(chosen, Catalog(chosen.workspace.catalog_url))
    typer.echo(
        f"dataset of '{name}': {grown.added} added, {grown.removed} removed, {grown.size} pictures now"
    )
    typer.echo(f"next: sid run {name}")


@app.command()
def sheet(
    context: typer.Context,
    name: Name,
    x: Annotated[
        str, typer.Option(help="Across, such as strength=0.4,0.6,0.8,1.0.")
    ] = "strength=0,0.4,0.6,0.8,1.0",
    y: Annotated[str, typer.Option(help="Down, such as snapshot=2,4,6.")] = "snapshot=2,4,6",
    z: Annotated[
        str | None, typer.Option(help="A third parameter, one sheet below the other: sampler=Euler a,LCM.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Instead of the project's caption.")] = None,
    generation: Annotated[
        int | None, typer.Option(min=1, help="Drawn with its LoRA.", show_default="the latest")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Another file to write it to than the one in the generation's folder.")
    ] = None,
) -> None:
    """Draw the caption over two or three parameters, side by side, to choose strength and snapshot by eye."""
    from bootstrap.catalog import Catalog
    from bootstrap.drawing import sheet as sheets  # imports torch: seconds that other verbs need not wait

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    asked = generation_of(chosen, catalog, generation)
    path = sheets.draw_sheet(
        asked, sheets.parse_axis(x), sheets.parse_axis(y), prompt, silent,
        sheets.parse_axis(z) if z else None,
    )  # fmt: skip
    if output:
        copy_file(path, output)
    typer.echo(f"sheet: {output or path}")


@app.command()
def advise(
    context: typer.Context,
    name: Name,
    generation: Annotated[
        int | None, typer.Option(min=1, help="Of its LoRA's snapshots.", show_default="the latest")
    ] = None,
) -> None:
    """Measure how close and how flexible each snapshot is, and tell which ones to draw with."""
    from bootstrap.adviser import choosing, run  # imports torch: seconds that other verbs need not wait
    from bootstrap.catalog import Catalog

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    advice, plot = run.advise(generation_of(chosen, catalog, generation), silent)
    typer.echo("snapshot  closeness  flexibility  (freedom, elimination)  phase")
    for one, phase in zip(advice.measurements, choosing.phases(advice.measurements), strict=True):
        elimination = "   -" if one.elimination is None else f"{one.elimination:.2f}"
        parts = f"({one.freedom:.2f},    {elimination})"
        typer.echo(f"{one.epoch:>8}  {one.closeness:>9.2f}  {one.flexibility:>11.2f}  {parts:<22}  {phase}")
    typer.echo(
        f"to vary: snapshot {advice.variation}; to eliminate, add and replace: {advice.middle}; "
        f"to replicate: {advice.replication}"
    )
    typer.echo(f"plot: {plot}")


@app.command()
def plan(context: typer.Context, name: Name) -> None:
    """Show what the next `sid run` draws, how long it takes and how much disk it needs, without drawing."""
    from bootstrap.catalog import Catalog
    from bootstrap.loop import forecast

    chosen = workspace_of(context).project(name)
    coming = forecast.of_next_run(chosen, Catalog(chosen.workspace.catalog_url))
    typer.echo(forecast.render(chosen.name, coming))


@app.command()
def export(
    context: typer.Context,
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A folder that is new or empty.")],
    to: Annotated[str, typer.Option("--format", help="kohya or imagefolder.")],
) -> None:
    """Copy the dataset into a folder that kohya_ss or Hugging Face datasets read."""
    from bootstrap.catalog import Catalog
    from bootstrap.dataset import exporting

    chosen = workspace_of(context).project(name)
    count = exporting.export(chosen, Catalog(chosen.workspace.catalog_url), to, folder)
    typer.echo(f"{count} pictures with captions in {folder}")


@cache
def _load_verbs() -> None:
    """Add the other packages' verbs, once."""
    verdicts_cli.add_verbs(app)
    curation_cli.add_verbs(app)
    for entry in sorted(entry_points(group="sid.verbs"), key=lambda one: one.name):
        entry.load()(app)


def main() -> None:
    """Run the command line. Exit code 2: the user's mistake, told in one line; 1: ours, with a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _load_verbs()
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="sid", standalone_mode=False)
    except UserError as error:
        sys.stderr.write(f"sid: {error}\n")
        sys.exit(2)
    except typer.TyperException as error:
        sys.stderr.write(f"sid: {_in_one_line(error)}\n")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        told = of_the_machine(error)
        if told is not None:
            sys.stderr.write(f"sid: {told}\n")
            sys.exit(2)
        traceback.print_exc()
        sys.stderr.write("sid: that is a mistake of ours; please report the lines above\n")
        sys.exit(1)
    if code == 130:
        sys.stderr.write("sid: stopped\n")
    sys.exit(code or 0)


def _in_one_line(error: typer.TyperException) -> str:
    """What is wrong with the command line, and where its help is."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message} (see `{context.command_path if context else 'sid'} --help`)"
