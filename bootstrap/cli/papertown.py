"""`sid papertown`: making the embedded base models."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap.errors import UserError

app = typer.Typer(help="Make the embedded base models anew.", no_args_is_help=True)

# torch takes seconds to import, and only these verbs need it here.


@app.callback()
def _group() -> None:
    """Keeps `make` a word of its own while it is the only one."""


@app.command()
def make(
    stage: Annotated[str, typer.Option(help="data, vae, base, ink, tagger or judge, in this order.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where everything is kept.", show_default="~/.cache/sid")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this long; go on by running it again.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="How many samples the whole stage is.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="A model whose weights `vae`, `base` or `ink` begin with.")
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile the UNet of `base` and `ink` first: minutes, then 1.5 times as fast."
        ),
    ] = False,
) -> None:
    """Train one stage of Paper Town's models, or go on with it; needs the extra `papertown`."""
    try:
        from bootstrap.papertown import make as making
    except ImportError as error:
        raise UserError(
            f"sid papertown make: {error.name} is not installed; run `pip install 'sid-bootstrap[papertown]'`"
        ) from None
    if stage not in making.STAGES:
        raise UserError(f"--stage {stage}: unknown; there are {', '.join(making.STAGES)}")
    making.make(stage, folder or making.DIRECTORY, minutes, samples, start, compiled)
