"""`sid papertown`: train the embedded base models."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap.errors import UserError

app = typer.Typer(help="Train the embedded base models from scratch.", no_args_is_help=True)

# The verb imports torch in its body: it takes seconds, which the other verbs need not wait for.


@app.callback()
def _group() -> None:
    """Keep `make` a verb of its own: without a callback typer would merge a single verb into the group."""


@app.command()
def make(
    stage: Annotated[str, typer.Option(help="data, vae, base, ink, tagger or judge, in this order.")],
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder for the data and the models.", show_default="~/.cache/sid"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many minutes; run it again to resume.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Train the whole stage on this many samples.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="A model whose weights `vae`, `base` or `ink` start from.")
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the UNet of `base` and `ink` first: takes minutes, then trains 1.5 times as fast.",
        ),
    ] = False,
) -> None:
    """Train one stage of Paper Town's models, or resume it; needs the extra `papertown`."""
    try:
        from bootstrap.papertown import make as making
    except ImportError as error:
        raise UserError(
            f"sid papertown make: {error.name} is not installed; run `pip install 'sid-bootstrap[papertown]'`"
        ) from None
    if stage not in making.STAGES:
        raise UserError(f"--stage {stage}: unknown; there are {', '.join(making.STAGES)}")
    making.make(stage, folder or making.DIRECTORY, minutes, samples, start, compiled)
