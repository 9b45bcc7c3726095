"""The verbs of `sid` for single pictures: what one was drawn with, and drawing it again."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from bootstrap.errors import UserError
from bootstrap.project import Workspace

File = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG of sid, or any picture with infotext.")]


def add_verbs(app: typer.Typer) -> None:
    """Add `show` and `redraw`."""
    app.command()(show)
    app.command()(redraw)


def show(
    file: File, as_json: Annotated[bool, typer.Option("--json", help="As JSON, the whole shot.")] = False
) -> None:
    """Show how a picture was drawn, by sid or by another tool that writes infotext."""
    from bootstrap.drawing import infotext

    shot, text = infotext.shot_of(file), infotext.text_of(file)
    told = infotext.read(text or "")
    if shot is None and not told.fields:
        raise UserError(
            f"picture {file}: it carries neither a shot of sid nor infotext, so nobody knows how it was drawn"
        )
    if as_json:
        found = shot.to_dict() if shot else dataclasses.asdict(told)
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    lines = {"prompt": told.prompt, "negative prompt": told.negative_prompt, **told.fields}
    if shot is not None:
        lines = {"shot": shot.id, **lines, "prompt": shot.prompt, "negative prompt": shot.negative_prompt}
        for lora in shot.loras:
            unet, te = lora.strengths
            apart = f", of the text encoder {te:g}" if te != unet else ""
            lines[f"LoRA {lora.name}"] = f"strength {unet:g}{apart}"
        lines |= {"base model": shot.base_model, "recipe": shot.recipe}
        lines |= {"eliminated": ", ".join(shot.eliminated), "added": ", ".join(shot.added)}
    for name, value in lines.items():
        if value:
            typer.echo(f"{name}: {value}")


def redraw(
    context: typer.Context,
    file: File,
    strength: Annotated[float | None, typer.Option(min=-2, max=2, help="Of its first LoRA.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Another picture.")] = None,
    snapshot: Annotated[int | None, typer.Option(min=1, help="Another epoch of its first LoRA.")] = None,
    base: Annotated[str | None, typer.Option(help="Another base model.")] = None,
    output: Annotated[Path | None, typer.Option(help="The PNG to write [default: here, by its id].")] = None,
) -> None:
    """Draw a picture again from its file, as it was or with another strength, seed or snapshot."""
    from bootstrap.drawing import infotext  # the rest imports torch: seconds that other verbs need not wait
    from bootstrap.drawing import redraw as redrawing

    if output is not None and output.suffix.lower() != ".png":
        raise UserError(f"--output {output}: the picture is written as PNG, name a .png file")
    if output is not None and output.resolve() == file.resolve():
        raise UserError(f"--output {output}: that is the picture itself, name another file")
    workspace = context.find_object(Workspace)
    if workspace is None:
        raise RuntimeError("a verb was called without its command")
    changes = redrawing.Changes(strength, seed, snapshot)
    picture, shot, text = redrawing.redraw(workspace, file, changes, base)
    path = output or Path(f"redrawn-{shot.id}.png")
    infotext.save_png(picture, path, shot, text)
    typer.echo(f"redrawn: {path}")
