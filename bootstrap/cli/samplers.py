"""`sid samplers`: the noise levels that each sampler steps through."""

from typing import Annotated

import typer

from bootstrap.cli.common import print_json, say_text


def add_verbs(app: typer.Typer) -> None:
    """Add this verb to the command line."""
    app.command()(samplers)


def samplers(
    steps: Annotated[int, typer.Option(min=1, max=150, help="Number of steps.")] = 20,
    base: Annotated[
        str | None,
        typer.Option(
            help="Base model, as for `sid new`.", show_default="Stable Diffusion 1.5's noise schedule"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the sigmas of each sampler with each schedule: the noise before each step, and after the last one."""
    from bootstrap.models import schedule_listing

    listed = schedule_listing.of(base, steps)
    if as_json:
        print_json([entry._asdict() for entry in listed])
        return
    for entry in listed:
        say_text(f"{entry.sampler}, {entry.schedule}: {' '.join(f'{sigma:.4g}' for sigma in entry.sigmas)}")
