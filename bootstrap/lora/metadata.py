"""The `ss_*` and modelspec metadata of a LoRA file, as kohya writes them.

Sources: sd-scripts, train_network.py (`ss_*`; every value is a string) and library/sai_model_spec.py (modelspec 1.0.1).

A file that is saved again, also by a training that was interrupted, is the same file. So its only times are
`ss_training_started_at` and `modelspec.date`, both the time at which the training began, which the catalog keeps;
`ss_training_finished_at` is left out. Equal trainings of two workspaces differ in these two entries alone.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bootstrap import captions, reading
from bootstrap.models.family import Family
from bootstrap.project.settings import TrainingSection

_STARTED_AT = "ss_training_started_at"  # seconds since 1970, in UTC

# Module, class and arguments of each optimizer, as kohya writes them; see bootstrap.training.optimizers.
OPTIMIZERS = {
    "AdamW": "torch.optim.adamw.AdamW",
    "AdamW8bit": "bitsandbytes.optim.adamw.AdamW8bit",
    "Prodigy": "prodigyopt.prodigy.Prodigy(weight_decay=0.01,use_bias_correction=True,d0=0.0001)",
}


@dataclass(frozen=True)
class TrainingFacts:
    """The facts about a training, besides its settings, that the metadata contain."""

    output_name: str
    project: str
    base_model_name: str  # of its file, with the ending; of its folder; or the hub id
    base_model_hash: str | None  # SHA-256 of its weights; None: of a hub model
    base_model_old_hash: str | None  # AUTOMATIC1111's first hash, 8 hex digits; None: it is no single file
    prediction_type: str | None  # epsilon or v_prediction; None: neither
    family: Family
    captions: list[str]  # of each picture
    repeats: list[int]  # of each picture
    sizes: list[tuple[int, int]]  # training width and height of each picture in pixels, the original's first
    reg_images: int  # number of regularization pictures
    batches_per_epoch: int  # to show all pictures as often as their repeats say, regularization included
    total_steps: int
    training_id: str  # 64 hex digits
    precision: Literal["no", "fp16", "bf16"]  # of the forward pass, on this machine
    zero_terminal_snr: bool
    clip_skip: int | None  # None: 1, or the family always reads the same layer
    started_at: datetime  # with its time zone


def build(facts: TrainingFacts, settings: TrainingSection, epoch: int, steps: int) -> dict[str, str]:
    """Return the metadata for the snapshot of one epoch.

    Args:
        epoch: number of finished epochs.
        steps: number of finished steps in all epochs.
    """
    return {**_ss(facts, settings, epoch, steps), **_modelspec(facts)}


def started_at(path: Path) -> datetime | None:
    """Return when the training of a LoRA file began, as its metadata say; None: they do not say it.

    Raises:
        UserError: the file is damaged.
        OSError: it is missing or cannot be read.
    """
    stated = reading.safetensors_header(path, f"LoRA {path}", "").metadata.get(_STARTED_AT)
    try:
        return datetime.fromtimestamp(float(stated or ""), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _ss(facts: TrainingFacts, settings: TrainingSection, epoch: int, steps: int) -> dict[str, str]:
    width, height = facts.sizes[0]
    buckets: Counter[tuple[int, int]] = Counter()
    for size, repeats in zip(facts.sizes, facts.repeats, strict=True):
        buckets[size] += repeats
    folders = {f"{count}_{facts.project}": count for count in sorted(set(facts.repeats), reverse=True)}
    captions_of = {
        folder: [
            caption
            for caption, repeats in zip(facts.captions, facts.repeats, strict=True)
            if repeats == count
        ]
        for folder, count in folders.items()
    }
    values: dict[str, Any] = {
        "ss_output_name": facts.output_name,
        # A random number of 32 bits in kohya's files; here one of the same size that the same training has again.
        "ss_session_id": int(facts.training_id[:8], 16),
        _STARTED_AT: facts.started_at.timestamp(),
        "ss_learning_rate": settings.unet_lr,
        "ss_unet_lr": settings.unet_lr,
        "ss_text_encoder_lr": settings.text_encoder_lr,
        "ss_num_train_images": sum(facts.repeats),
        "ss_num_reg_images": facts.reg_images,
        "ss_num_batches_per_epoch": facts.batches_per_epoch,
        "ss_num_epochs": settings.epochs,
        "ss_epoch": epoch,
        "ss_steps": steps,
        "ss_max_train_steps": facts.total_steps,
        "ss_lr_scheduler": settings.lr_scheduler,
        "ss_lr_warmup_steps": settings.lr_warmup_steps,
        "ss_optimizer": OPTIMIZERS[settings.optimizer],
        "ss_network_module": "networks.lora",
        "ss_network_dim": settings.network_dim,
        "ss_network_alpha": settings.network_alpha,
        "ss_network_dropout": None,
        "ss_mixed_precision": facts.precision,
        "ss_base_model_version": facts.family.lora_metadata["ss_base_model_version"],
        "ss_v2": False,
        "ss_clip_skip": facts.clip_skip,
        "ss_max_token_length": settings.max_token_length if settings.max_token_length > 75 else None,
        "ss_seed": settings.seed,
        "ss_noise_offset": settings.noise_offset or None,
        "ss_multires_noise_iterations": None,
        "ss_adaptive_noise_scale": None,
        "ss_zero_terminal_snr": facts.zero_terminal_snr,
        "ss_min_snr_gamma": settings.min_snr_gamma,
        "ss_scale_weight_norms": None,
        "ss_ip_noise_gamma": None,
        "ss_debiased_estimation": False,
        "ss_gradient_checkpointing": settings.gradient_checkpointing,
        "ss_gradient_accumulation_steps": 1,
        "ss_max_grad_norm": 1.0,
        "ss_loss_type": "l2",
        "ss_full_fp16": False,
        "ss_fp8_base": False,
        "ss_cache_latents": True,
        "ss_lowram": False,
        "ss_color_aug": False,
        "ss_random_crop": False,
        "ss_face_crop_aug_range": None,
        "ss_caption_dropout_every_n_epochs": 0,
        "ss_caption_dropout_rate": settings.caption_dropout_rate,
        "ss_caption_tag_dropout_rate": settings.caption_tag_dropout_rate,
        "ss_prior_loss_weight": settings.prior_loss_weight,
        "ss_keep_tokens": settings.keep_tokens,
        "ss_shuffle_caption": settings.shuffle_caption,
        "ss_flip_aug": settings.flip_aug,
        "ss_resolution": f"({width}, {height})",
        "ss_enable_bucket": len(buckets) > 1,
        "ss_bucket_no_upscale": False,
        "ss_min_bucket_reso": None,  # the sizes have no bounds of their own
        "ss_max_bucket_reso": None,
        "ss_batch_size_per_device": settings.train_batch_size,
        "ss_total_batch_size": settings.train_batch_size,  # one device, no accumulation
        "ss_sd_model_name": facts.base_model_name,
        "ss_dataset_dirs": json.dumps(
            {
                folder: {"n_repeats": folders[folder], "img_count": len(texts)}
                for folder, texts in captions_of.items()
            }
        ),
        "ss_reg_dataset_dirs": json.dumps(
            {f"1_{facts.project}": {"n_repeats": 1, "img_count": facts.reg_images}}
            if facts.reg_images
            else {}
        ),
        "ss_tag_frequency": json.dumps({folder: _tag_counts(texts) for folder, texts in captions_of.items()}),
        "ss_bucket_info": json.dumps(_bucket_info(buckets) if len(buckets) > 1 else None),
        "ss_training_comment": "single image dataset, made by sid",
    }
    if settings.timestep_sampling is not None:
        # As musubi-tuner writes them, training/trainer_base.py.
        values |= {f"ss_{name}": value for name, value in asdict(settings.flow).items()}
    if settings.conv_dim is not None:
        values["ss_network_args"] = json.dumps(
            {"conv_dim": str(settings.conv_dim), "conv_alpha": f"{settings.conv_alpha:g}"}
        )
    if facts.base_model_old_hash is not None:
        values["ss_sd_model_hash"] = facts.base_model_old_hash
    if facts.base_model_hash is not None:
        values["ss_new_sd_model_hash"] = facts.base_model_hash
    return {key: str(value) for key, value in values.items()}


def _bucket_info(buckets: Counter[tuple[int, int]]) -> dict[str, Any]:
    return {
        "buckets": {
            str(number): {"resolution": list(size), "count": count}
            for number, (size, count) in enumerate(buckets.items())
        },
        "mean_img_ar_error": 0.0,
    }


def _tag_counts(texts: list[str]) -> dict[str, int]:
    return dict(Counter(tag.lower() for text in texts for tag in dict.fromkeys(captions.parse(text))))


def _modelspec(facts: TrainingFacts) -> dict[str, str]:
    width, height = facts.sizes[0]
    predicts = {"epsilon": "epsilon", "v_prediction": "v"}.get(facts.prediction_type or "")
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": facts.family.lora_metadata["modelspec.architecture"],
        "modelspec.implementation": facts.family.lora_metadata["modelspec.implementation"],
        "modelspec.title": facts.output_name,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.date": facts.started_at.astimezone(UTC).isoformat(timespec="seconds"),
        **({"modelspec.encoder_layer": str(facts.clip_skip)} if facts.clip_skip is not None else {}),
        **({"modelspec.prediction_type": predicts} if predicts else {}),
        "modelspec.tags": facts.captions[0],
    }
