"""The scenes: what is trained and drawn, and what of it has to stay as it was in build a76663c.

Each scene is a function of an empty folder that returns facts, by the name of the test that compares them.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.golden import inputs, old_workspace
from tests.golden.doors import (
    OWN_MODE,
    Sid,
    counts,
    infotext,
    loras,
    of_lora,
    of_pixels,
    of_text,
    order,
    pictures,
    plan,
    sheet_pictures,
)

Facts = dict[str, Any]
Scene = Callable[[Path], Facts]

SAMPLERS = (
    "Euler a", "Euler", "Heun", "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE", "DPM++ 2M SDE Karras", "DPM++ SDE",
    "DPM++ SDE Karras", "DDIM", "UniPC", "LCM",
)  # fmt: skip


def _new(sid: Sid, name: str, settings: str, base: str = "papertown", picture: str = "") -> None:
    """Make a project of a bundled picture; the settings come after the section `project`."""
    image, caption = inputs.original(picture or name)
    sid("new", name, "--image", image, "--caption", caption, "--base", base)
    head = f'[project]\ncaption = "{caption}"\nbase_model = "{base}"\n'
    (sid.folder(name) / "project.toml").write_text(head + settings, encoding="utf-8")


# A LoCon that leaves the text encoder alone, drawn with all that a prompt can say.
MEDAL = """
[training]
repeats = 1
epochs = 2
max_train_steps = 5
train_batch_size = 2
network_dim = 4
network_alpha = 2
conv_dim = 2
conv_alpha = 1
text_encoder_lr = 0
lr_scheduler = "cosine"
lr_warmup_steps = 2
caption_dropout_rate = 0.2
caption_tag_dropout_rate = 0.2
clip_skip = 2
noise_offset = 0.05
min_snr_gamma = 5
class_tokens = "woman, outdoors"
num_class_images = 2
prior_loss_weight = 0.7
seed = 7
sample_prompts = ["woman, (blue hat:1.2)"]

[drawing]
sampler = "Euler a"
steps = 4
cfg_scale = 4
batch_size = 4
negative_prompt = "(blurry:1.2), marble, text # not this"
seed = 3

[[recipe]]
kind = "add"
tags = [
    "(round glasses:1.3), [smile]",
    "BREAK red wall, window",
    "[sad mouth:open mouth:0.5], [holding red apple::2]",
    "[cat|dog]",
    "marble",
    "<lora:ink:0.7:0.4>",
    "{round|square} glasses, __places__",
    "a woman AND a cat :0.6",
]
count = 8
strength = [0.6, 0.9]
snapshot = [1, 2]
negative_prompt = "window"
"""

ALL_RECIPES = """
[[recipe]]
kind = "vary"
count = 3
strength = { from = 0.5, to = 0.7, step = 0.1 }
snapshot = [1, 2]

[[recipe]]
kind = "eliminate"
tags = ["holding red apple", "teal wall"]
count = 3
strength = 0.8
snapshot = 2
as_negative = true

[[recipe]]
kind = "add"
tags = ["round glasses", "(flower crown:1.2)"]
count = 2
strength = 0.6
snapshot = 3

[[recipe]]
kind = "replace"
tag = "holding red apple"
by = ["holding green ball", "holding yellow flower"]
count = 2
strength = [0.6, 0.7]
snapshot = 3

[[recipe]]
kind = "replicate"
count = 2
snapshot = 3

[[recipe]]
kind = "reference"
tags = ["woman", "blue blazer"]
prompts = ["outdoors, beach", "outdoors, forest"]
count = 2
strength = 0.4
snapshot = 1

[[recipe]]
kind = "element"
tags = ["holding red apple"]
prompts = ["man, green hoodie, outdoors, city street"]
count = 2
snapshot = 3

[[recipe]]
kind = "resize"
aspect_ratios = ["2:3"]
sizes = [[160, 96]]
count = 2
snapshot = 3

[[recipe]]
kind = "restyle"
base_model = "papertown-ink"
prompts = ["ink"]
count = 2
snapshot = 3

[[recipe]]
kind = "compose"
tags = ["woman", "blue blazer", "smile"]
prompts = ["outdoors, city street"]
count = 1
strength = 0.6
snapshot = 3

[[recipe.loras]]
lora = "medal"
strength = 0.4
tags = ["holding orange ball"]

[[recipe]]
kind = "compose"
count = 1
snapshot = 2

[[recipe.loras]]
lora = "ink.safetensors"
strength = 0.5
tags = ["drawing on paper"]

[[recipe]]
kind = "hires"
hires_upscale = 1.5
denoising_strength = 0.3
hires_steps = 3
hires_cfg_scale = 1.5
count = 1
snapshot = 3

[[recipe]]
kind = "inpaint"
box = [76, 70, 44, 44]
count = 1
snapshot = 3

[[recipe.rounds]]
prompt = "woman, blue blazer, holding green apple"
strength = 0.4
denoising_strength = 0.6

[[recipe.rounds]]
prompt = "woman, blue blazer, clock"
mask = "mask.png"
mask_blur = 2

[[recipe]]
kind = "inpaint"
mask = "mask.png"
only_masked_padding = 16
count = 1
snapshot = 2

[[recipe.rounds]]
prompt = "clock, teal wall"

[[recipe]]
kind = "bootstrap"
count = 4
mixed = 1
unchanged = 1
snapshot = [2, 3]

[[recipe.aspects]]
name = "mood"
tags = ["sad mouth", "open mouth"]
instead_of = ["smile"]

[[recipe.aspects]]
name = "place"
tags = ["outdoors, beach", "outdoors, forest"]
instead_of = ["teal wall", "window", "wooden desk", "papers on desk"]
"""

BADGE = f"""
[training]
repeats = 8
epochs = 3
network_dim = 8
network_alpha = 8
flip_aug = true

[drawing]
sampler = "DDIM"
steps = 4
negative_prompt = "blurry"
{ALL_RECIPES}"""


def papertown(folder: Path) -> Facts:
    """Paper Town with recipes of every kind, and all that a prompt can say; two picks, and a second generation."""
    sid = Sid(folder / "workspace")
    inputs.ink_lora(sid.workspace / "loras" / "ink.safetensors")
    inputs.embedding(sid.workspace / "embeddings" / "marble.safetensors")
    _new(sid, "medal", MEDAL)
    (sid.folder("medal") / "wildcards").mkdir()
    (sid.folder("medal") / "wildcards" / "places.txt").write_text("beach\nforest\n# none\ncity street\n")
    facts: Facts = {"medal: plan before it was trained": plan(sid, "medal")}
    sid("run", "medal")
    facts["medal: pictures"] = pictures(sid, "medal", 1)
    facts["medal: pictures of the class"] = {
        path.name: of_pixels(path) for path in sorted(sid.folder("medal").glob("regularization/*.png"))
    }

    _new(sid, "badge", BADGE)
    inputs.mask(sid.folder("badge") / "mask.png")
    inputs.ink_lora(sid.folder("badge") / "ink.safetensors")
    facts["badge: plan of generation 1"] = plan(sid, "badge")
    sid("run", "badge")
    facts["badge: pictures of generation 1"] = pictures(sid, "badge", 1)
    facts["badge: order of generation 1"] = order(sid, "badge", 1)

    shown = {
        one: told["recipe"] for one, told in pictures(sid, "badge", 1).items() if told["state"] == "published"
    }
    by_recipe = {recipe: one for one, recipe in sorted(shown.items(), reverse=True)}
    sid("accept", "badge", by_recipe["eliminate"], by_recipe["replace"])
    sid("reject", "badge", by_recipe["vary"], by_recipe["bootstrap"])
    sid("grow", "badge")
    facts["badge: dataset"] = _dataset(sid, "badge")
    facts["badge: plan of generation 2"] = plan(sid, "badge")
    _without_recipes(sid.folder("badge") / "project.toml", "hires", "inpaint", "restyle", "resize")
    sid("run", "badge")
    facts["badge: plan of generation 2 when it was drawn"] = plan(sid, "badge")
    facts["badge: pictures of generation 2"] = pictures(sid, "badge", 2)
    facts["badge: order of generation 2"] = order(sid, "badge", 2)
    for name in ("medal", "badge"):
        facts[f"{name}: LoRA files"] = loras(sid, name)
        facts[f"{name}: how many"] = counts(sid, name)
    return facts


def _dataset(sid: Sid, name: str) -> dict[str, str]:
    found = sorted(sid.folder(name).glob("dataset/*.png"))
    return {path.stem: f"{of_pixels(path)} {path.with_suffix('.txt').read_text().strip()}" for path in found}


def _without_recipes(toml: Path, *kinds: str) -> None:
    """Take recipes out of a project.toml."""
    head, *recipes = toml.read_text("utf-8").split("[[recipe]]\n")
    kept = [one for one in recipes if not one.startswith(tuple(f'kind = "{kind}"' for kind in kinds))]
    toml.write_text("[[recipe]]\n".join([head, *kept]), encoding="utf-8")


# Trained with Prodigy, and without anything recorded: gradient checkpointing takes the plain way.
CROWN = """
[training]
repeats = 4
epochs = 2
network_dim = 4
network_alpha = 4
optimizer = "Prodigy"
unet_lr = 1
text_encoder_lr = 1
lr_scheduler = "linear"
shuffle_caption = false
gradient_checkpointing = true

[drawing]
sampler = "UniPC"
steps = 2
width = 64
height = 96

[dedupe]
hash = "dhash"

[curation]
adaptive = false

[[recipe]]
kind = "vary"
count = 2
snapshot = "auto"
"""


def single_pictures(folder: Path) -> Facts:
    """Every sampler on a sheet, the adviser, and what is made of single pictures and LoRA files."""
    sid = Sid(folder / "workspace")
    _new(sid, "crown", CROWN)
    sid("run", "crown")  # the adviser chooses the snapshot
    facts: Facts = {
        "crown: pictures": pictures(sid, "crown", 1),
        "crown: LoRA files": loras(sid, "crown"),
        "crown: advice": sid("advise", "crown").splitlines()[:-1],
        "crown: figures of the advice": _figures(sid),
    }
    sid("set", "crown", "drawing.steps=5", "drawing.width=", "drawing.height=")
    facts["crown: samplers"] = _samplers(sid, "crown")

    first = sid.candidates("crown")[0]
    out = folder / "out.png"
    sid("redraw", first["path"], "--strength", "0.3", "--seed", "5", "--snapshot", "2", "--output", out)
    facts["crown: redrawn"] = {"pixels": of_pixels(out), "infotext": of_text(infotext(out))}
    sid("set", "crown", "drawing.width=64", "drawing.height=96")
    inputs.mask(folder / "mask.png")
    sid("again", "crown", first["id"], "--strength", "0.9", "--count", "2")
    sid(
        "inpaint", "crown", first["id"], "--mask", _mask_of(first["path"], folder), "--prompt", "woman, clock",
        "--rounds", "2", "--only-masked-padding", "16",
    )  # fmt: skip
    facts["crown: mended"] = pictures(sid, "crown", 1)

    last = max(sid.folder("crown").glob("generation-01/training-*/*.safetensors"))
    sid("lora", "resize", last, folder / "resized.safetensors", "--rank", "2")
    sid("lora", "convert", last, folder / "converted.safetensors", "--to", "diffusers")
    facts["crown: LoRA resized and converted"] = {
        name: {key: of_lora(folder / f"{name}.safetensors")[key] for key in ("tensors", "count")}
        for name in ("resized", "converted")
    }
    facts["tags of a picture"] = sid("tag", first["path"]).strip()
    return facts


def _mask_of(path: str, folder: Path) -> Path:
    from PIL import Image, ImageDraw

    with Image.open(path) as picture:
        mask = Image.new("RGB", picture.size)
    ImageDraw.Draw(mask).rectangle((16, 20, 48, 60), fill="white")
    mask.save(folder / "mask.png")
    return folder / "mask.png"


def _samplers(sid: Sid, name: str) -> dict[str, str]:
    """The caption drawn with each sampler, on one sheet."""
    told = sid("sheet", name, "--x", f"sampler={','.join(SAMPLERS)}", "--y", "strength=0.8").strip()
    found = sheet_pictures(Path(told.removeprefix("sheet: ")), 1 + len(SAMPLERS))
    return dict(zip(["the original", *SAMPLERS], found, strict=True))


def _figures(sid: Sid) -> list[list[float | None]]:
    """What the adviser measured of each snapshot, as the catalog keeps it: closeness, freedom and elimination."""
    connection = sqlite3.connect(sid.workspace / "catalog.sqlite")
    rows = connection.execute(
        "SELECT epoch, closeness, freedom, elimination FROM snapshot ORDER BY epoch"
    ).fetchall()
    connection.close()
    return [[one if one is None else round(one, 4) for one in row] for row in rows]


TINY = """
[training]
repeats = 2
epochs = 2
network_dim = 4
network_alpha = 4
unet_lr = 1e-3
text_encoder_lr = 1e-4
shuffle_caption = true

[drawing]
sampler = "DPM++ 2M Karras"
steps = 5
batch_size = 2
negative_prompt = "(blurry:1.2)"

[[recipe]]
kind = "vary"
count = 2
strength = 0.7
snapshot = [1, 2]

[[recipe]]
kind = "add"
tags = ["red wall BREAK window", "[cat:dog:0.5]"]
count = 2
strength = 0.9
snapshot = 2
"""


def tiny_sdxl(folder: Path) -> Facts:
    """A tiny Stable Diffusion XL with random weights: trained, drawn, and every sampler."""
    inputs.tiny_sdxl(folder / "tiny-xl")
    return _tiny(folder, TINY, str(folder / "tiny-xl"))


def tiny_sd15(folder: Path) -> Facts:
    """A tiny Stable Diffusion 1.x that predicts v with zero terminal SNR: trained, drawn, and every sampler."""
    inputs.tiny_sd15(folder / "tiny-v")
    settings = TINY.replace("[drawing]", "min_snr_gamma = 5\nclip_skip = 2\n\n[drawing]")
    settings = settings.replace(
        "network_alpha = 4", "network_alpha = 1024"
    )  # its gradients are large enough to clip
    facts = _tiny(folder, settings, str(folder / "tiny-v"))
    Sid(folder / "workspace")(
        "draw-tags", "red apple, glorp", "--output", folder / "tags", "--base", folder / "tiny-v"
    )
    facts["tags drawn"] = {path.name: of_pixels(path) for path in sorted((folder / "tags").glob("*.png"))}
    return facts


def _tiny(folder: Path, settings: str, base: str) -> Facts:
    sid = Sid(folder / "workspace")
    _new(sid, "scarf", settings, base)
    sid("run", "scarf")
    return {
        "pictures": pictures(sid, "scarf", 1),
        "LoRA files": loras(sid, "scarf"),
        "how many": counts(sid, "scarf"),
        "samplers": _samplers(sid, "scarf"),
        "advice": sid("advise", "scarf").splitlines()[:-1],
        "figures of the advice": _figures(sid),
    }


SCARF = """
[training]
repeats = 8
epochs = 2
network_dim = 8
network_alpha = 8
conv_dim = 2

[drawing]
steps = 4
batch_size = 4

[[recipe]]
kind = "vary"
count = 4
strength = [0.6, 1.0]
snapshot = [1, 2]

[[recipe]]
kind = "eliminate"
tags = ["smile"]
count = 3
snapshot = 2
"""


def own_mode(folder: Path) -> Facts:
    """Paper Town as it runs for people on two cores: batches in parts, passes recorded and replayed."""
    sid = Sid(folder / "workspace", OWN_MODE)
    _new(sid, "scarf", SCARF)
    sid("run", "scarf")
    return {
        "pictures": pictures(sid, "scarf", 1),
        "LoRA files": loras(sid, "scarf"),
        "how many": counts(sid, "scarf"),
    }


SCENES: dict[str, Scene] = {one.__name__: one for one in (papertown, single_pictures, tiny_sdxl, tiny_sd15)}


def old_workspace_told(folder: Path) -> Facts:
    """What is told of a workspace that build a76663c made."""
    return old_workspace.told(old_workspace.unpacked(folder))


def old_workspace_gone_on(folder: Path) -> Facts:
    """What comes of that workspace when the work goes on."""
    return old_workspace.gone_on(old_workspace.unpacked(folder))


OLD_WORKSPACE: dict[str, Scene] = {one.__name__: one for one in (old_workspace_told, old_workspace_gone_on)}
ALL: dict[str, Scene] = {**SCENES, **OLD_WORKSPACE, "own_mode": own_mode}
