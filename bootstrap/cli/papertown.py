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
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder for all results.", show_default="~/.cache/sid/papertown-making"),
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
    try:
        from bootstrap.papertown import make as making
    except ImportError as error:
        raise UserError(
            f"sid papertown make: {error.name} is not installed; run `pip install 'sid-bootstrap[papertown]'`"
        ) from None
    if stage not in making.STAGES:
        raise UserError(f"--stage {stage}: unknown; the stages are {', '.join(making.STAGES)}")
    making.run_stage(stage, folder or making.DIRECTORY, minutes, samples, start, compiled)
