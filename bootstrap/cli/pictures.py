"""The verbs for single pictures: their tags, how one was drawn, drawing one again, mending a candidate."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bootstrap import captions
from bootstrap.cli.common import Name, print_json, say, say_text, workspace_of
from bootstrap.errors import UserError, cell
from bootstrap.shot_limits import (
    LEAST_CFG_SCALE,
    LEAST_STRENGTH,
    MOST_CFG_SCALE,
    MOST_STEPS,
    MOST_STRENGTH,
)

if TYPE_CHECKING:
    from bootstrap.loop.mending import Inpaint, Redraw

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a candidate, or its first characters.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON: the number of new candidates, and the ids of all.")
]
Strength = Annotated[
    float | None,
    typer.Option(
        min=LEAST_STRENGTH,
        max=MOST_STRENGTH,
        help="Another strength of its first LoRA; below 0 the picture moves away from what the LoRA has learnt.",
    ),
]
Snapshot = Annotated[int | None, typer.Option(min=1, max=1000, help="Another epoch of its first LoRA.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Another seed, for another picture.")]
Count = Annotated[
    int, typer.Option(min=1, max=16, help="How many pictures to draw, each with a seed of its own.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG drawn by sid, or another tool's picture.")]


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    for verb in (tag, show, redraw, again, inpaint, caption):
        app.command()(verb)
    app.command("draw-tags")(draw_tags)


def tag(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")],
    tagger: Annotated[
        Path | None,
        typer.Option(
            help="A WD14-style .onnx file, with its selected_tags.csv in the same folder.",
            show_default="Paper Town's own",
        ),
    ] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Print one tag per line, with its score, 0 to 1.")
    ] = False,
) -> None:
    """Suggest a caption: the tags that a tagger sees in a picture."""
    from bootstrap import images
    from bootstrap.pictures.tagging import (
        open_tagger,  # imports torch: seconds that other verbs need not wait
    )

    picture = images.open_picture(file)
    [tag_scores] = open_tagger(tagger).read([picture])
    if scores:
        for scored in tag_scores:
            say(f"{scored.score:.3f}  {scored.tag}")
    else:
        say_text(", ".join(scored.tag for scored in tag_scores))


def show(
    file: File, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, the whole shot.")] = False
) -> None:
    """Show how a picture was drawn, by sid or by another tool."""
    from bootstrap.drawing import infotext, infotext_shot, infotext_unused, samplers
    from bootstrap.drawing.infotext import Infotext
    from bootstrap.drawing.metadata import of_picture

    shot, found = infotext.shot_of(file), of_picture.read(file)
    if shot is None and found.is_nothing:
        raise UserError(f"picture {file}: {found.why_not()}")
    fields = found.parameters or Infotext("", "", {})
    if as_json:
        not_honoured = {"not_honoured": infotext_unused.unused(fields)}
        description = shot.to_dict() if shot else dataclasses.asdict(fields) | not_honoured
        if shot is None and found.parameters is None:
            description["texts"] = found.texts
        print_json(description, indent=2, ensure_ascii=False)
        return
    if shot is None and found.parameters is None:
        for place, text in found.texts.items():
            say_text(text, f"{cell(place, 100)}: ")
        say(f"it cannot be redrawn: {found.why_not()}")
        return
    lines = {
        "tool": fields.tool,
        "prompt": fields.prompt,
        "negative prompt": fields.negative_prompt,
        **fields.fields,
    }
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
            say_text(str(value), f"{cell(name, 100)}: ")
    for line in infotext_unused.told(shot, fields):
        say_text(line)
    if shot is None:
        for refusal in fields.refusals:
            say(f"it cannot be redrawn: {refusal}")
        try:
            samplers.check_known(infotext_shot.of_infotext(file, fields))
        except UserError as error:
            say(f"it cannot be redrawn: {error}")


def redraw(
    context: typer.Context,
    file: File,
    strength: Strength = None,
    seed: Seed = None,
    snapshot: Snapshot = None,
    base: Annotated[str | None, typer.Option(help="Another base model.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The PNG to write.", show_default="redrawn-ID.png in this folder")
    ] = None,
) -> None:
    """Draw a picture again from its file, unchanged or with another strength, seed, snapshot or base model."""
    from bootstrap.drawing import (
        infotext,
        infotext_unused,
    )  # the rest imports torch: other verbs need not wait
    from bootstrap.drawing import redraw as redrawing
    from bootstrap.drawing.infotext import Infotext
    from bootstrap.drawing.metadata import of_picture

    if output is not None and output.suffix.lower() != ".png":
        raise UserError(f"--output {output}: the picture is written as PNG, name a .png file")
    if output is not None and output.resolve() == file.resolve():
        raise UserError(f"--output {output}: that is the picture itself, name another file")
    changes = redrawing.Changes(strength, seed, snapshot)
    picture, shot, text = redrawing.redraw(workspace_of(context), file, changes, base)
    path = output or Path(f"redrawn-{shot.id}.png")
    infotext.save_png(picture, path, shot, text)
    say(f"redrawn: {path}")
    parameters = of_picture.read(file).parameters or Infotext("", "", {})
    for line in infotext_unused.told(infotext.shot_of(file), parameters):
        say_text(line)
    tool = redrawing.tool_of(file)
    if tool:
        say(
            f"{file} is {tool}'s: its prompt was read and its noise drawn as AUTOMATIC1111 does, so the picture is "
            "like it, not the same"
        )


def again(
    context: typer.Context,
    name: Name,
    candidate: Id,
    strength: Strength = None,
    snapshot: Snapshot = None,
    seed: Seed = None,
    prompt: Annotated[
        str | None, typer.Option(help="Another prompt; its tags become the caption as a pick.")
    ] = None,
    negative_prompt: Annotated[str | None, typer.Option(help='Another negative prompt; "" for none.')] = None,
    cfg_scale: Annotated[
        float | None, typer.Option(min=LEAST_CFG_SCALE, max=MOST_CFG_SCALE, help="Another CFG scale.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=MOST_STEPS, help="Another number of steps, in all passes.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(metavar="NAME", help='Another sampler, such as "Euler a".')
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another noise schedule, such as Karras.")
    ] = None,
    count: Count = 1,
    as_json: AsJson = False,
) -> None:
    """Draw a candidate again with something changed, and publish the results next to it."""
    from bootstrap.loop.mending import Redraw  # imports torch: seconds that other verbs need not wait

    change = Redraw(
        strength, snapshot, seed, count, prompt, negative_prompt, cfg_scale=cfg_scale, steps=steps, sampler=sampler,
        schedule=schedule,
    )  # fmt: skip
    _draw_again(context, name, candidate, change, as_json)


def inpaint(
    context: typer.Context,
    name: Name,
    candidate: Id,
    mask: Annotated[Path, typer.Option(help="A picture of the candidate's size; its white area is redrawn.")],
    prompt: Annotated[
        str, typer.Option(help="What the whole picture shows afterwards; also its caption as a pick.")
    ],
    denoising_strength: Annotated[
        float, typer.Option(min=0.05, max=1, help="How far the area may change.")
    ] = 0.75,
    rounds: Annotated[
        int, typer.Option(min=1, max=8, help="How many rounds; each starts from the previous result.")
    ] = 1,
    only_masked_padding: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=256,
            metavar="PIXELS",
            help="Enlarge and draw only the masked area and this many pixels around it; --prompt then describes "
            "that area, and the candidate's caption stays.",
        ),
    ] = None,
    original: Annotated[
        bool,
        typer.Option(
            "--original",
            help="Redraw a part of the original instead, with the candidate's LoRA, strength, size and sampler; the "
            "mask then has the original's size.",
        ),
    ] = False,
    seed: Seed = None,
    count: Count = 1,
    as_json: AsJson = False,
) -> None:
    """Redraw a part of a candidate, and publish the results next to it."""
    from bootstrap.loop.mending import Inpaint  # imports torch: seconds that other verbs need not wait

    change = Inpaint(
        mask, prompt, denoising_strength, rounds, seed, count, only_masked_padding=only_masked_padding,
        of_original=original,
    )  # fmt: skip
    _draw_again(context, name, candidate, change, as_json)


def caption(
    context: typer.Context,
    name: Name,
    candidate: Id,
    tags: Annotated[str, typer.Argument(metavar="CAPTION", help='Tags; "" restores those of its prompt.')],
) -> None:
    """Set the caption that a candidate gets as a pick, instead of its prompt's tags."""
    from bootstrap.catalog import candidates

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    candidate_id = candidates.candidate(catalog, project.name, candidate).id
    candidates.set_caption(catalog, project.name, candidate_id, tags)
    say_text(candidates.candidate(catalog, project.name, candidate_id).caption, f"{candidate_id}: ")


def draw_tags(
    tags: Annotated[str, typer.Argument(metavar="CAPTION", help="Tags, separated by commas.")],
    output: Annotated[
        Path, typer.Option(help="Folder for the drawings; drawings that exist are not drawn again.")
    ],
    base: Annotated[str, typer.Option(help="The base model, as for `sid new`.")] = "papertown",
) -> None:
    """Draw each tag with the base model alone, and report the tags that it does not seem to know."""
    from bootstrap.drawing import tag_drawings  # imports torch: seconds that other verbs need not wait
    from bootstrap.models import specs

    try:
        words = captions.read(tags)
    except ValueError as error:
        raise UserError(f"caption: {error}") from None
    for drawing in tag_drawings.draw_tags(specs.find(base), words, output):
        doubt = (
            "" if drawing.is_known else "  seems unknown: it changes the drawing no more than a made-up word"
        )
        say(f"{drawing.tag}  {output / drawing.file}{doubt}")


def _draw_again(
    context: typer.Context, name: str, candidate: str, change: "Redraw | Inpaint", as_json: bool
) -> None:
    from bootstrap.loop.mending import draw_again

    project = workspace_of(context).project(name)
    drawn = draw_again(project, project.workspace.open_catalog(), candidate, change)
    if as_json:
        print_json({"new": drawn.new, "candidates": drawn.ids})
        return
    result = f"{drawn.new} drawn" if drawn.new else "already drawn"
    say(f"{result}, published: {' '.join(drawn.ids)}")
