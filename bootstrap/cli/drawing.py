"""The verbs of `sid` for single pictures: what one was drawn with, drawing it again, mending a candidate."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap import captions
from bootstrap.errors import UserError
from bootstrap.shots import LEAST_STRENGTH, MOST_STRENGTH

if TYPE_CHECKING:
    from bootstrap.loop.mending import Inpaint, Redraw
    from bootstrap.project.projects import Workspace

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A candidate's id, or a beginning of it.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON: how many are new, and the ids of all.")]
Strength = Annotated[
    float | None,
    typer.Option(
        min=LEAST_STRENGTH, max=MOST_STRENGTH, help="Of its first LoRA; below 0 it draws away from it."
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Another picture.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG of sid, or any picture with infotext.")]


def add_verbs(app: typer.Typer) -> None:
    """Add `show` and `redraw` for files, `again`, `inpaint` and `caption` for candidates, `draw-tags` for captions."""
    for verb in (show, redraw, again, inpaint, caption):
        app.command()(verb)
    app.command("draw-tags")(draw_tags)


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
    strength: Strength = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Another picture.")] = None,
    snapshot: Annotated[int | None, typer.Option(min=1, help="Another epoch of its first LoRA.")] = None,
    base: Annotated[str | None, typer.Option(help="Another base model.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The PNG to write.", show_default="here, by its id")
    ] = None,
) -> None:
    """Draw a picture again from its file, as it was or with another strength, seed or snapshot."""
    from bootstrap.drawing import infotext  # the rest imports torch: seconds that other verbs need not wait
    from bootstrap.drawing import redraw as redrawing

    if output is not None and output.suffix.lower() != ".png":
        raise UserError(f"--output {output}: the picture is written as PNG, name a .png file")
    if output is not None and output.resolve() == file.resolve():
        raise UserError(f"--output {output}: that is the picture itself, name another file")
    workspace = _workspace(context)
    changes = redrawing.Changes(strength, seed, snapshot)
    picture, shot, text = redrawing.redraw(workspace, file, changes, base)
    path = output or Path(f"redrawn-{shot.id}.png")
    infotext.save_png(picture, path, shot, text)
    typer.echo(f"redrawn: {path}")


def again(
    context: typer.Context,
    name: Name,
    candidate: Id,
    strength: Strength = None,
    snapshot: Annotated[int | None, typer.Option(min=1, help="Another epoch of its first LoRA.")] = None,
    seed: Seed = None,
    count: Annotated[int, typer.Option(min=1, max=16, help="Pictures, with as many seeds.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Draw a candidate again with something else; what comes of it is up for review beside it."""
    from bootstrap.loop.mending import Redraw  # imports torch: seconds that other verbs need not wait

    _draw_again(context, name, candidate, Redraw(strength, snapshot, seed, count), as_json)


def inpaint(
    context: typer.Context,
    name: Name,
    candidate: Id,
    mask: Annotated[
        Path, typer.Option(help="A picture of the candidate's size; what is white is drawn anew.")
    ],
    prompt: Annotated[str, typer.Option(help="What the whole picture shows then; its caption as a pick.")],
    denoising_strength: Annotated[float, typer.Option(min=0.05, max=1)] = 0.75,
    rounds: Annotated[int, typer.Option(min=1, max=8, help="Each starts from the one before.")] = 1,
    only_masked_padding: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=256,
            metavar="PIXELS",
            help="Draw only what is masked and so many pixels around it, enlarged; --prompt then tells of that part, "
            "and the caption stays the candidate's.",
        ),
    ] = None,
    seed: Seed = None,
    count: Annotated[int, typer.Option(min=1, max=16, help="Pictures, with as many seeds.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Draw a part of a candidate anew; what comes of it is up for review beside it."""
    from bootstrap.loop.mending import Inpaint  # imports torch: seconds that other verbs need not wait

    wanted = Inpaint(
        mask, prompt, denoising_strength, rounds, seed, count, only_masked_padding=only_masked_padding
    )
    _draw_again(context, name, candidate, wanted, as_json)


def caption(
    context: typer.Context,
    name: Name,
    candidate: Id,
    tags: Annotated[str, typer.Argument(metavar="CAPTION", help='Tags; "" gives those of its prompt back.')],
) -> None:
    """Write a candidate's caption as a pick, instead of its prompt's tags."""
    from bootstrap.catalog import Catalog, candidates

    chosen = _workspace(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    whole = candidates.candidate(catalog, chosen.name, candidate).id
    candidates.set_caption(catalog, chosen.name, whole, tags)
    typer.echo(f"{whole}: {candidates.candidate(catalog, chosen.name, whole).caption}")


def draw_tags(
    tags: Annotated[str, typer.Argument(metavar="CAPTION", help="Tags, separated by commas.")],
    output: Annotated[
        Path, typer.Option(help="The folder for the drawings; what is there is not drawn again.")
    ],
    base: Annotated[str, typer.Option(help="The base model, as for `sid new`.")] = "papertown",
) -> None:
    """Draw each tag with the base model alone, and tell which ones it does not seem to know."""
    from bootstrap.drawing import tag_drawings  # imports torch: seconds that other verbs need not wait
    from bootstrap.models import specs

    found = tag_drawings.draw_tags(specs.find(base), captions.parse(tags), output)
    for one in found:
        told = "" if one.is_known else "  seems unknown: it changes the drawing no more than a made-up word"
        typer.echo(f"{one.tag}  {output / one.file}{told}")


def _draw_again(
    context: typer.Context, name: str, candidate: str, wanted: "Redraw | Inpaint", as_json: bool
) -> None:
    from bootstrap.catalog import Catalog
    from bootstrap.loop.mending import draw_again

    chosen = _workspace(context).project(name)
    drawn = draw_again(chosen, Catalog(chosen.workspace.catalog_url), candidate, wanted)
    if as_json:
        typer.echo(json.dumps({"new": drawn.new, "candidates": drawn.ids}))
        return
    news = f"{drawn.new} drawn" if drawn.new else "there already"
    typer.echo(f"{news}, up for review: {' '.join(drawn.ids)}")


def _workspace(context: typer.Context) -> "Workspace":
    from bootstrap.project.projects import Workspace

    workspace = context.find_object(Workspace)
    if workspace is None:
        raise RuntimeError("a verb was called without its command")
    return workspace
