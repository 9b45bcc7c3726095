"""`sid papertown`: make the embedded base models."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap.errors import UserError

app = typer.Typer(help="Make the embedded base models again.", no_args_is_help=True)

# torch takes seconds to import, so only the commands that need it import it.


@app.callback()
def _group() -> None:
    """Keep `make` a subcommand although it is the only one."""


@app.command()
def make(
    stage: Annotated[
        str, typer.Option(help="The stage to run: data, vae, base, ink, tagger or judge, in this order.")
    ],
    world: Annotated[
        str, typer.Option(help="The world: one, or two (whole figures; flow matching; without `ink`).")
    ] = "one",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Folder for all results.",
            show_default="~/.cache/sid/papertown-making, or papertown-two-making",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, max=1_000_000, help="Stop after this many minutes; the next run resumes."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000_000, help="Number of samples of the stage's whole training."),
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Folder of a model whose weights `vae`, `base` or `ink` start from.")
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the UNet of `base` and `ink` first: takes minutes, then trains 1.5 times as fast.",
        ),
    ] = False,
) -> None:
    """Run or resume one stage of making Paper Town's models; needs the extra `papertown`."""
    if world not in ("one", "two"):
        raise UserError(f"--world {world}: unknown; the worlds are one and two")
    if world == "two" and start is not None:
        raise UserError(f"--start {start}: the stages of --world two start from no other model's weights")
    try:
        from bootstrap.papertown import make as making
        from bootstrap.papertown.two import make as making_two
    except ImportError as error:
        raise UserError(
            f"sid papertown make: {error.name} is not installed; run `pip install 'sid-bootstrap[papertown]'`"
        ) from None
    stages = making.STAGES if world == "one" else making_two.STAGES
    if stage not in stages:
        raise UserError(f"--stage {stage}: unknown; the stages are {', '.join(stages)}")
    if world == "two":
        making_two.run_stage(stage, folder or making_two.DIRECTORY, minutes, samples, compiled)
    else:
        making.run_stage(stage, folder or making.DIRECTORY, minutes, samples, start, compiled)
