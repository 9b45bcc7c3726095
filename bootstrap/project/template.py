"""The text of a new project's `project.toml`, with a comment on every setting."""

import re
from collections.abc import Mapping
from typing import Any

import tomlkit

from bootstrap.project.settings import (
    CurationSection,
    DedupeSection,
    DrawingSection,
    ReviewSection,
    TrainingSection,
)
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.registry import RECIPES, USUAL

_HEAD = """\
# Settings of a sid project. Delete a line to get the default of the base model back.

[project]
caption = {caption}  # tags, the subject first
base_model = {base_model}  # an embedded model, a diffusers folder, a .safetensors file, or a hub id
# prediction_type = "v_prediction"  # or "epsilon"; without it: what the model says of itself

[training]  # one LoRA on this dataset; the names are kohya's
repeats = {repeats}  # how often an epoch shows the picture: repeats / batch size = steps an epoch
epochs = {epochs}  # 120 steps in all suffice; more than 400 add nothing
{max_train_steps}  # instead of repeats: this many steps in all, in as many equal parts as there are epochs
save_every_n_epochs = {save_every_n_epochs}  # each saved epoch is a snapshot that recipes can draw with
train_batch_size = {train_batch_size}  # pictures a step
network_dim = {network_dim}  # rank of the LoRA
network_alpha = {network_alpha}  # the LoRA counts alpha / dim
{conv_dim}  # makes it a LoCon: the UNet's convolutions are trained too, at this rank
conv_alpha = {conv_alpha}  # the convolutions count conv_alpha / conv_dim
unet_lr = {unet_lr}  # learning rate of the UNet's part
text_encoder_lr = {text_encoder_lr}  # learning rate of the text encoder's part, 0 leaves it alone
optimizer = {optimizer}  # AdamW, AdamW8bit (needs bitsandbytes and a GPU) or Prodigy (rates 1.0; extra `prodigy`)
lr_scheduler = {lr_scheduler}  # constant, cosine or linear
lr_warmup_steps = {lr_warmup_steps}  # the rate rises over so many steps
shuffle_caption = {shuffle_caption}  # tags in a new order at each step
keep_tokens = {keep_tokens}  # this many first tags stay in their place when shuffled
caption_dropout_rate = {caption_dropout_rate}  # share of steps without any caption
caption_tag_dropout_rate = {caption_tag_dropout_rate}  # chance of each tag to be left out of a step, kept ones never
max_token_length = {max_token_length}  # a longer caption is refused: 75, 150 or 225
clip_skip = {clip_skip}  # 2 takes the text encoder's last layer but one, as some anime models want; no effect on SDXL
flip_aug = {flip_aug}  # half of the steps see the picture mirrored
noise_offset = {noise_offset}  # helps with very dark and very bright pictures; 0.05 is usual
{min_snr_gamma}  # evens out what the noise levels count; 5 is usual, without it all count the same
gradient_checkpointing = {gradient_checkpointing}  # less memory, a third slower
{resolution}  # side of a square with as many pixels as training uses; without it: the base model's
mixed_precision = {mixed_precision}  # auto, no, fp16, bf16
seed = {seed}  # start values, noise and order follow from it
{class_tokens}  # regularization: after each picture of the dataset one of this class is shown
num_class_images = {num_class_images}  # that many of the class are drawn by the base model,
{reg_data_dir}  # or they come from this folder, with captions in .txt files or class_tokens for all
prior_loss_weight = {prior_loss_weight}  # what their loss counts
sample_prompts = {sample_prompts}  # drawn with each snapshot, on one sheet

[drawing]  # what all shots have in common; the names are AUTOMATIC1111's
sampler = {sampler}  # Euler a, DPM++ 2M Karras, DPM++ SDE Karras, LCM, ...: see docs/prompts.md
steps = {steps}  # denoising steps
cfg_scale = {cfg_scale}  # how strongly the prompt counts; 1 switches guidance off
negative_prompt = {negative_prompt}  # for all shots; a recipe may add to it
# clip_skip = 2  # without it: training's
batch_size = {batch_size}  # pictures drawn at once; lower it when memory runs out
# width = 512  # in pixels; without it: the size that training uses
# height = 512  # in pixels; without it: the size that training uses
# seed = 0  # another one gives other pictures with the same recipes

[dedupe]
hash = {hash}  # phash, dhash, whash or colorhash: which of the hashes that bring look-alikes together
distance = {distance}  # bits (of 64) that two hashes may differ in
pixel_difference = {pixel_difference}  # and no part of the picture may differ by more (RMS, 0 to 1)

[curation]
embedder = {embedder}  # what scores look with: base (the base model's features), none, or a folder (ONNX, transformers)
# tagger = "../tagger/model.onnx"  # a WD14-style file, to tell how much of the prompt came out
hide_flawed = {hide_flawed}  # blank, noisy and burnt pictures are not put up
required_tags = {required_tags}  # what each pick's caption should have, for `sid tags`; []: the caption's first tag
adaptive = {adaptive}  # later generations draw more of what became picks; false: as the recipes say

[review]
reasons = {reasons}  # to reject with, on the keys 1 to 9
"""

_RECIPES_HEAD = """
# What to draw. strength 1.0 replicates, 0.8 eliminates, 0.6 varies and adds, below 0.5 the base model leads.
# strength and snapshot take one value, a list, or a range such as { from = 0.5, to = 0.7, step = 0.1 }.
# snapshot = "auto" measures all snapshots after training and takes the one that suits the recipe.

"""


def comments() -> dict[str, str]:
    """Return what a new project's file says of each setting, by key such as `training.repeats`."""
    found, section = {}, ""
    for line in render(["subject"], "papertown", {}, "").splitlines():
        heading = re.match(r"\[(\w+)\]", line)
        setting = re.match(r"(?:# )?(\w+) = .*?  # (.+)", line)
        if heading:
            section = heading[1]
        elif setting:
            found[f"{section}.{setting[1]}"] = setting[2]
    return found


def render(
    tags: list[str], base_model: str, defaults: Mapping[str, Mapping[str, Any]], recipes: str | None
) -> str:
    """Return the TOML text of a new project.

    Args:
        tags: the caption's tags in order.
        base_model: as it shall stand in the file.
        defaults: the base model's own values for `training` and `drawing`.
        recipes: TOML text of `[[recipe]]` tables; None for the usual ones.
    """
    training = TrainingSection.model_validate(defaults.get("training", {}))
    drawing = DrawingSection.model_validate(defaults.get("drawing", {}))
    values: dict[str, Any] = {**drawing.model_dump(), **training.model_dump(), **DedupeSection().model_dump()}
    values |= CurationSection().model_dump() | ReviewSection().model_dump()
    values |= {"caption": ", ".join(tags), "base_model": base_model, "seed": training.seed}
    written = {key: tomlkit.item(value).as_string() for key, value in values.items() if value is not None}
    optional_ones = {
        "max_train_steps": 120,
        "conv_dim": 8,
        "min_snr_gamma": 5,
        "resolution": 512,
        "class_tokens": '"woman"',
        "reg_data_dir": '"../pictures-of-women"',
    }
    for optional, example in optional_ones.items():
        given = written.get(optional)
        written[optional] = f"{optional} = {given}" if given else f"# {optional} = {example}"
    return _HEAD.format(**written) + (recipes if recipes is not None else usual_recipes(tags))


def usual_recipes(tags: list[str]) -> str:
    """Return the TOML text of the recipes of a new project, and of others as comments.

    Args:
        tags: the caption's; a recipe that they are too few for is a comment.
    """
    drawn = [recipe.kind for recipe in USUAL if _suits(recipe, tags)]
    examples = [
        model.example if kind in drawn else _commented(model.example)
        for kind, model in RECIPES.items()
        if model.example
    ]
    return _RECIPES_HEAD + "\n".join(examples)


def _suits(recipe: Recipe, tags: list[str]) -> bool:
    try:
        recipe.check_caption(tags)
    except ValueError:
        return False
    return True


def _commented(text: str) -> str:
    return "".join(f"# {line.removeprefix('# ')}" for line in text.splitlines(keepends=True))
