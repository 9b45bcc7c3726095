"""The training settings in the groups of the Settings page."""

from collections.abc import Mapping, Sequence

from bootstrap.models.family import FLOW_SETTINGS
from review_app.components.setting_fields import Setting

GROUPS: Mapping[str, Sequence[str]] = {
    "How long": (
        "repeats", "epochs", "train_batch_size", "max_train_steps", "save_every_n_epochs", "resolution",
    ),
    "The LoRA": ("network_dim", "network_alpha", "conv_dim", "conv_alpha"),
    "Learning": (
        "unet_lr", "text_encoder_lr", "optimizer", "lr_scheduler", "lr_warmup_steps", "min_snr_gamma", "noise_offset",
        *FLOW_SETTINGS, "seed",
    ),
    "Captions": (
        "shuffle_caption", "keep_tokens", "caption_dropout_rate", "caption_tag_dropout_rate", "max_token_length",
        "clip_skip", "flip_aug",
    ),
    "Class pictures": ("class_tokens", "num_class_images", "reg_data_dir", "prior_loss_weight"),
    "Machine and samples": ("mixed_precision", "gradient_checkpointing", "sample_prompts"),
}  # fmt: skip


def grouped(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """Return the settings by the title of their group; what no group names comes last, under "More"."""
    by_name = {setting.name: setting for setting in settings}
    groups = {
        title: [by_name.pop(name) for name in names if name in by_name] for title, names in GROUPS.items()
    }
    return groups | ({"More": list(by_name.values())} if by_name else {})
