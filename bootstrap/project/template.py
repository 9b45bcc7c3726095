"""The text of a new project's `project.toml`, with a comment on every setting."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import tomlkit

from bootstrap.models.family import FlowTraining
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
# Settings of a sid project. Delete a line to get the base model's default back.

[project]
caption = {caption}  # tags, the subject first
base_model = {base_model}  # an embedded model, a diffusers folder, a .safetensors file, or a hub id
# prediction_type = "v_prediction"  # or "epsilon"; without it: what the model itself declares

[training]  # one LoRA on this dataset; the names are kohya's
repeats = {repeats}  # times an epoch shows the picture; steps per epoch = repeats / train_batch_size
epochs = {epochs}  # 120 steps in total suffice; more than 400 add nothing
{max_train_steps}  # overrides repeats: this many steps in total, divided equally among the epochs
save_every_n_epochs = {save_every_n_epochs}  # each saved epoch is a snapshot that recipes can draw with
train_batch_size = {train_batch_size}  # pictures per step
network_dim = {network_dim}  # rank of the LoRA
network_alpha = {network_alpha}  # scales the LoRA by alpha / dim
{conv_dim}  # makes it a LoCon: also trains the UNet's convolutions, at this rank
conv_alpha = {conv_alpha}  # scales the convolutions' part by conv_alpha / conv_dim
unet_lr = {unet_lr}  # learning rate of the UNet; 0 freezes it
text_encoder_lr = {text_encoder_lr}  # learning rate of the text encoder; 0 freezes it
optimizer = {optimizer}  # AdamW, AdamW8bit (needs bitsandbytes and a GPU) or Prodigy (rates 1.0; extra `prodigy`)
lr_scheduler = {lr_scheduler}  # constant, cosine or linear
lr_warmup_steps = {lr_warmup_steps}  # warm-up: the learning rate rises over this many steps
shuffle_caption = {shuffle_caption}  # shuffles the tags at each step
keep_tokens = {keep_tokens}  # this many tags at the start keep their places when the others are shuffled
caption_dropout_rate = {caption_dropout_rate}  # share of steps that train without a caption
caption_tag_dropout_rate = {caption_tag_dropout_rate}  # chance that a step leaves a tag out; never one of keep_tokens
max_token_length = {max_token_length}  # 75, 150 or 225; a longer caption is refused
clip_skip = {clip_skip}  # 2 uses the text encoder's second-to-last layer, as some anime models do; no effect on SDXL
flip_aug = {flip_aug}  # mirrors the picture in half of the steps
noise_offset = {noise_offset}  # helps with very dark and very bright pictures; 0.05 is usual
{min_snr_gamma}  # Min-SNR loss weight, balances the noise levels; 5 is usual; without it, all weigh the same
{flow}gradient_checkpointing = {gradient_checkpointing}  # uses less memory, a third slower
{resolution}  # training uses as many pixels as a square of this side has; without it: the base model's
mixed_precision = {mixed_precision}  # auto, no, fp16, bf16
seed = {seed}  # determines initial weights, noise and order
{class_tokens}  # regularization: one picture of this class follows each picture of the dataset
num_class_images = {num_class_images}  # the base model draws this many pictures of the class,
{reg_data_dir}  # or they come from this folder, captioned by .txt files, or by class_tokens for all
prior_loss_weight = {prior_loss_weight}  # loss weight of the class pictures
sample_prompts = {sample_prompts}  # drawn with each snapshot, on one sheet

[drawing]  # what all shots have in common; the names are AUTOMATIC1111's
sampler = {sampler}  # Euler a, DPM++ 2M, DPM++ SDE, LCM, ...: see docs/prompts.md
schedule = {schedule}  # Automatic (the sampler's own), Karras, SGM Uniform, ...: see docs/prompts.md
steps = {steps}  # denoising steps
cfg_scale = {cfg_scale}  # classifier-free guidance scale: how strongly the prompt counts; 1 turns guidance off
negative_prompt = {negative_prompt}  # for all shots; a recipe may add to it
# clip_skip = 2  # without it: training's
batch_size = {batch_size}  # pictures drawn at once; lower it when memory runs out
# width = 512  # in pixels; without it: the size that training uses
# height = 512  # in pixels; without it: the size that training uses
# seed = 0  # a different seed gives different pictures from the same recipes

[dedupe]
hash = {hash}  # phash, dhash, whash or colorhash: the hash that brings look-alikes together
distance = {distance}  # number of bits (of 64) in which two hashes may differ
pixel_difference = {pixel_difference}  # and no part of the picture may differ by more (RMS, 0 to 1)

[curation]
embedder = {embedder}  # features that scores compare: base (the base model's), none, or a folder (ONNX, transformers)
# tagger = "../tagger/model.onnx"  # a WD14-style file; measures how much of the prompt the picture shows
hide_flawed = {hide_flawed}  # hides blank, noisy and burnt pictures from review
required_tags = {required_tags}  # tags that each pick should have, for `sid tags`; []: the caption's first tag
adaptive = {adaptive}  # later generations draw more of what became picks; false: exactly what the recipes say

[review]
reasons = {reasons}  # reasons for rejecting, on keys 1 to 9
"""

# Of base models that match flows; the names are kohya's and musubi-tuner's.
_FLOW = """\
{timestep_sampling}  # where the noise levels come from: uniform, sigmoid, shift, flux_shift, flux2_shift, logit_normal
{discrete_flow_shift}  # for shift: above 1, more noise
{sigmoid_scale}  # for sigmoid and the shifts: above 1, more of very low and very high noise
{logit_mean}  # for logit_normal: above 0, more noise
{logit_std}  # for logit_normal: above 1, more of very low and very high noise
{weighting_scheme}  # loss weight of the noise levels: none, sigma_sqrt or cosmap
"""

_RECIPES_HEAD = """
# What to draw. Strength 1.0 replicates, 0.8 eliminates, 0.6 varies and adds; below 0.5 the base model dominates.
# strength and snapshot take one value, a list, or a range such as { from = 0.5, to = 0.7, step = 0.1 }.
# snapshot = "auto" measures all snapshots after training and uses the one that suits the recipe.

"""


def comments() -> dict[str, str]:
    """Return a new project's comment on each setting, by key such as `training.repeats`."""
    comment_of, section = {}, ""
    every_setting = render(["subject"], "papertown", {"training": {"timestep_sampling": "uniform"}}, "")
    for line in every_setting.splitlines():
        heading = re.match(r"\[(\w+)\]", line)
        setting = re.match(r"(?:# )?(\w+) = .*?  # (.+)", line)
        if heading:
            section = heading[1]
        elif setting:
            comment_of[f"{section}.{setting[1]}"] = setting[2]
    return comment_of


def render(
    tags: list[str], base_model: str, defaults: Mapping[str, Mapping[str, Any]], recipes: str | None
) -> str:
    """Return the TOML text of a new project.

    Args:
        tags: the caption's tags in order.
        base_model: the name to write into the file.
        defaults: the base model's own defaults for `training` and `drawing`.
        recipes: TOML text of `[[recipe]]` tables; None for the usual ones.
    """
    training = TrainingSection.model_validate(defaults.get("training", {}))
    drawing = DrawingSection.model_validate(defaults.get("drawing", {}))
    values: dict[str, Any] = {**drawing.model_dump(), **training.model_dump(), **DedupeSection().model_dump()}
    values |= CurationSection().model_dump() | ReviewSection().model_dump()
    values |= {"caption": ", ".join(tags), "base_model": base_model, "seed": training.seed}
    written = {key: tomlkit.item(value).as_string() for key, value in values.items() if value is not None}
    examples: dict[str, Any] = {
        "max_train_steps": 120,
        "conv_dim": 8,
        "min_snr_gamma": 5,
        "resolution": 512,
        "class_tokens": '"woman"',
        "reg_data_dir": '"../pictures-of-women"',
        "timestep_sampling": '"shift"',
        **{name: value for name, value in asdict(FlowTraining()).items() if name != "timestep_sampling"},
    }
    for key, example in examples.items():
        value = written.get(key)
        shown = (
            example
            if isinstance(example, int | float)
            else str(tomlkit.item(example.strip(chr(34))).as_string())
        )
        written[key] = f"{key} = {value}" if value else f"# {key} = {shown}"
    written["flow"] = _FLOW.format(**written) if training.timestep_sampling is not None else ""
    return _HEAD.format(**written) + (recipes if recipes is not None else usual_recipes(tags))


def usual_recipes(tags: list[str]) -> str:
    """Return the TOML text of a new project's recipes, with the other kinds as comments.

    Args:
        tags: the caption's; a recipe that needs more tags becomes a comment.
    """
    active = [recipe.kind for recipe in USUAL if _suits(recipe, tags)]
    examples = [
        model.example if kind in active else _commented(model.example)
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
