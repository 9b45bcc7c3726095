"""Settings that have no effect beside others, or hardly the wanted one; what cannot work, settings.py refuses."""

from bootstrap.errors import in_one_line
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.project.settings import LEAST_PRODIGY_RATE, Settings
from bootstrap.prompting import choice_syntax

_PRODIGY_STEPS = 40  # until the LoRA is half as large as AdamW's, see benchmarks/results/optimizers.md


def notes(settings: Settings, base: BaseModelSpec) -> list[str]:
    """Return a line for each setting that has no effect beside the others, or probably not the wanted one."""
    return [
        *_of_training(settings),
        *_of_flow(settings, base),
        *_of_base(settings, base),
        *_of_drawing(settings),
    ]


def _of_training(settings: Settings) -> list[str]:
    training, tags = settings.training, len(settings.project.tags)
    found = []
    movable = max(0, tags - training.keep_tokens)
    if training.shuffle_caption and movable < 2:
        found.append(
            f"training.shuffle_caption has no effect: keep_tokens leaves {movable} of {tags} tags to it"
        )
    if training.caption_tag_dropout_rate and movable < 1:
        found.append(
            "training.caption_tag_dropout_rate has no effect: keep_tokens keeps all tags of the caption"
        )
    if training.keep_tokens > 1 and not (training.shuffle_caption or training.caption_tag_dropout_rate):
        found.append(
            f"training.keep_tokens {training.keep_tokens} has no effect without shuffle_caption or "
            "caption_tag_dropout_rate"
        )
    if training.conv_dim is None and training.conv_alpha != 1:
        found.append(f"training.conv_alpha {training.conv_alpha:g} has no effect without conv_dim")
    if not training.is_regularized:
        if training.prior_loss_weight != 1:
            found.append(
                f"training.prior_loss_weight {training.prior_loss_weight:g} has no effect without class_tokens or "
                "reg_data_dir"
            )
    elif training.prior_loss_weight == 0:
        found.append(
            "training.prior_loss_weight 0: half of the steps, those on class pictures, train nothing"
        )
    found += [
        f"training.{name} '{in_one_line(text)}': no choice is made there, so its braces and underscores are drawn as "
        "they are written; write one of the options"
        for name, texts in (
            ("class_tokens", [training.class_tokens or ""]),
            ("sample_prompts", training.sample_prompts),
        )
        for text in texts
        if choice_syntax.has_choice(text)
    ]
    if training.max_train_steps is None and training.train_batch_size > training.repeats:
        found.append(
            f"training.train_batch_size {training.train_batch_size} is more than repeats {training.repeats}: each "
            f"batch is filled up, so an epoch shows the picture {training.train_batch_size} times"
        )
    if training.optimizer == "Prodigy" and training.least_steps < _PRODIGY_STEPS:
        found.append(
            f"training.optimizer Prodigy takes about {_PRODIGY_STEPS} steps to find its rate, and the training has "
            f"{training.least_steps}: the LoRA learns little"
        )
    if (
        training.optimizer != "Prodigy"
        and max(training.unet_lr, training.text_encoder_lr) >= LEAST_PRODIGY_RATE
    ):
        found.append(
            f"training.unet_lr {training.unet_lr:g} and text_encoder_lr {training.text_encoder_lr:g}: rates from "
            f"{LEAST_PRODIGY_RATE:g} are Prodigy's; with {training.optimizer} they most likely destroy the LoRA"
        )
    return found


# The values of timestep_sampling that use each setting.
_USED_BY: dict[str, tuple[str, ...]] = {
    "discrete_flow_shift": ("shift",),
    "sigmoid_scale": ("sigmoid", "shift", "flux_shift", "flux2_shift"),
    "logit_mean": ("logit_normal",),
    "logit_std": ("logit_normal",),
}


def _of_flow(settings: Settings, base: BaseModelSpec) -> list[str]:
    training, defaults = settings.training, base.defaults.get("training", {})
    sampling = training.flow.timestep_sampling
    return [
        f"training.{name} {getattr(training, name):g} has no effect with timestep_sampling {sampling}, only with "
        f"{' or '.join(used_by)}"
        for name, used_by in _USED_BY.items()
        if getattr(training, name) not in (None, defaults.get(name)) and sampling not in used_by
    ]


def _of_base(settings: Settings, base: BaseModelSpec) -> list[str]:
    training = settings.training
    found = []
    vocabulary = specs.vocabulary(base) if training.max_token_length != 225 else None
    if vocabulary is not None and vocabulary.chunk_tokens is None:
        found.append(
            f"training.max_token_length {training.max_token_length} has no effect: {base.title} has a limit of its own"
        )
    if specs.family(base) is not None and specs.most_clip_skip(base) is None and settings.clip_skip > 1:
        found.append(
            f"clip_skip {settings.clip_skip} has no effect: {base.title} always reads the same layer"
        )
    if training.noise_offset and specs.has_zero_terminal_snr(base):
        found.append(
            f"training.noise_offset {training.noise_offset:g}: {base.title} was trained with zero terminal SNR, so it "
            "draws dark and bright pictures without it"
        )
    sizes = specs.geometry(base)
    if sizes is not None and training.resolution is not None and training.resolution > 2 * sizes.resolution:
        found.append(
            f"training.resolution {training.resolution} is more than twice the {sizes.resolution} that {base.title} "
            "was made for: it sees things twice there"
        )
    return found


def _of_drawing(settings: Settings) -> list[str]:
    drawing = settings.drawing
    found = []
    if drawing.cfg_scale == 1:
        if drawing.negative_prompt:
            found.append("drawing.negative_prompt has no effect: cfg_scale 1 switches guidance off")
        for number, recipe in enumerate(settings.recipe, 1):
            if recipe.negative_prompt or getattr(recipe, "as_negative", False):
                found.append(
                    f"recipe[{number}], {recipe.kind}: its negative prompt has no effect: cfg_scale 1 switches "
                    "guidance off"
                )
    for number, recipe in enumerate(settings.recipe, 1):
        if max(recipe.strength) == 0:
            found.append(f"recipe[{number}], {recipe.kind}: strength 0 draws without the LoRA")
    return found
