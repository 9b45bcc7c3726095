"""Training settings from a configuration of kohya's: sd-scripts' TOML files, or a JSON file that kohya_ss's GUI saves.

Source of the names and their meaning: sd-scripts, `library/train_util.py` (arguments; a file's tables only group them)
and `docs/config_README-en.md` (datasets); kohya_ss, `kohya_gui/lora_gui.py` (the GUI's own names).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootstrap import reading
from bootstrap.errors import UserError, cell
from bootstrap.project.settings import TrainingSection

_MOST_NAMED = 12
_OFF: tuple[Any, ...] = (None, "", 0, 0.0, False, "0", "None", "none", [], {})

# kohya's name -> ours, where they differ.
_NAMES = {
    "max_train_epochs": "epochs", "epoch": "epochs", "num_repeats": "repeats", "dataset_repeats": "repeats",
    "batch_size": "train_batch_size", "optimizer_type": "optimizer", "max_resolution": "resolution",
}  # fmt: skip
# 0 or an empty text is how the GUI says "off", or "not set".
_ZERO_IS_UNSET = {
    "epochs",
    "max_train_steps",
    "repeats",
    "min_snr_gamma",
    "max_token_length",
    "conv_dim",
    "resolution",
}
_OPTIMIZERS = {name.casefold(): name for name in ("AdamW", "AdamW8bit", "Prodigy")}
_SCHEDULERS = {
    "constant": "constant",
    "constant_with_warmup": "constant",
    "cosine": "cosine",
    "linear": "linear",
}
# Read together with others, see `_rates` and `_network`.
_COMBINED = {
    "learning_rate", "unet_lr", "text_encoder_lr", "network_train_unet_only", "network_train_text_encoder_only",
    "network_args", "use_8bit_adam",
}  # fmt: skip
# Files, memory, logs and the machine: of no consequence for what is learnt, or set elsewhere in sid.
_ELSEWHERE = {
    "pretrained_model_name_or_path", "train_data_dir", "image_dir", "dataset_config", "output_dir", "output_name",
    "logging_dir", "log_with", "log_prefix", "log_tracker_name", "save_model_as", "save_precision", "caption_extension",
    "cache_latents", "cache_latents_to_disk", "vae_batch_size", "xformers", "sdpa", "mem_eff_attn", "lowram",
    "highvram", "max_data_loader_n_workers", "persistent_data_loader_workers", "num_cpu_threads_per_process",
    "num_processes", "num_machines", "gpu_ids", "multi_gpu", "dynamo_backend", "network_module",
    "training_comment", "metadata_title", "metadata_author", "model_list", "is_reg",
    "enable_bucket", "bucket_no_upscale", "bucket_reso_steps", "min_bucket_reso", "max_bucket_reso", "no_metadata",
    "config_file", "sample_sampler", "sample_every_n_epochs", "sample_every_n_steps", "sample_prompts", "huber_c",
    "huber_schedule", "loss_type", "v2", "sdxl", "LoRA_type", "save_last_n_epochs",
}  # fmt: skip


@dataclass
class Taken:
    """What a configuration says about a training."""

    values: dict[str, Any] = field(default_factory=dict)  # of `[training]`, by our names
    left: list[str] = field(default_factory=list)  # "name = value" of what sid has no setting for

    @property
    def line(self) -> str:
        """What is not taken, in one line; empty: all is."""
        if not self.left:
            return ""
        more = f" and {len(self.left) - _MOST_NAMED} more" if len(self.left) > _MOST_NAMED else ""
        return f"not taken, because sid has no such setting: {', '.join(self.left[:_MOST_NAMED])}{more}"


def read(path: Path, is_json: bool | None = None) -> Taken:
    """Return what a configuration file says.

    Args:
        is_json: whether it is JSON, not TOML; None: its name tells.

    Raises:
        UserError: it cannot be read, it says nothing about a training, or a value is of the wrong kind.
    """
    where = f"configuration {path}"
    if path.suffix.lower() == ".json" if is_json is None else is_json:
        raw = reading.json_file(
            path, where, "name a file that kohya_ss has saved", reading.MOST_BYTES_OF_TOML
        )
    else:
        raw = reading.toml_file(path, where)
    if not isinstance(raw, dict):
        raise UserError(f"{where}: it is no table of settings; name a file of kohya's")
    if isinstance(raw.get("project"), dict) and isinstance(raw.get("training", {}), dict):
        return Taken(dict(raw.get("training", {})))  # a project.toml of our own
    taken = _taken(raw, where)
    if not taken.values:
        raise UserError(f"{where}: it has no training setting that sid knows; name a file of kohya's")
    return taken


def _taken(raw: Mapping[str, Any], where: str) -> Taken:
    given: dict[str, Any] = {}
    for name, value in _flat(raw):
        given.setdefault(name, value)  # an argument of the file itself comes before those of its datasets
    taken = Taken()
    for name, value in given.items():
        ours = _NAMES.get(name, name)
        if name in _ELSEWHERE or name in _COMBINED or (ours in _ZERO_IS_UNSET and value in _OFF):
            continue
        known = ours in TrainingSection.model_fields
        try:
            converted = _converted(ours, value) if known else None
        except ValueError:
            raise UserError(
                f"{where}: '{name}': {cell(repr(value), 60)} is not what this setting takes"
            ) from None
        if converted is not None:
            taken.values.setdefault(ours, converted)
        elif value not in _OFF:
            taken.left.append(f"{cell(name, 40)} = {cell(str(value), 40)}")
    if "epochs" in taken.values:
        taken.values.pop("max_train_steps", None)  # as in sd-scripts, where the epochs count
    try:
        taken.values |= _rates(given)
    except ValueError:
        raise UserError(f"{where}: a learning rate is not a number") from None
    _network(given, taken)
    if given.get("use_8bit_adam") is True and "optimizer" not in taken.values:
        taken.values["optimizer"] = "AdamW8bit"
    return taken


def _flat(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of a file: its tables only group them, and of its datasets the first one counts."""
    nested = []
    for name, value in raw.items():
        if isinstance(value, dict):
            nested.append(value)
        elif name in ("datasets", "subsets") and isinstance(value, list):
            nested += [one for one in value if isinstance(one, dict) and not one.get("is_reg")][:1]
        else:
            yield str(name), value
    for table in nested:
        yield from _flat(table)


def _converted(ours: str, value: Any) -> Any:
    """Return a value as our setting takes it; None: the setting is ours, and this value of it is not.

    Raises:
        ValueError: it is of the wrong kind.
    """
    if ours == "optimizer":
        return _OPTIMIZERS.get(str(value).casefold())
    if ours == "lr_scheduler":
        return _SCHEDULERS.get(str(value).casefold())
    if ours == "mixed_precision":
        return value if value in ("no", "fp16", "bf16") else None
    if ours == "resolution":
        return _resolution(value)
    if ours == "lr_warmup_steps" and 0 < _number(value) < 1:  # a share of the steps
        return None
    kind = TrainingSection.model_fields[ours].annotation
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise ValueError(value)
    number = _number(value)
    is_whole = float(number).is_integer() and "float" not in str(kind)
    return int(number) if is_whole else number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    number = float(value)  # the GUI saves some as texts
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _resolution(value: Any) -> int:
    """Return the side of the square with as many pixels as "512", "512,768" or [512, 768]."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    sides = [_number(part) for part in parts]
    if len(sides) not in (1, 2) or not all(0 < side < 100_000 for side in sides):
        raise ValueError(value)
    return round(math.sqrt(sides[0] * sides[-1]) / 8) * 8


def _rates(given: Mapping[str, Any]) -> dict[str, float]:
    """Return the learning rates of UNet and text encoder: their own, else the common one; 0 for a frozen one."""
    text_encoder = given.get("text_encoder_lr")
    if isinstance(text_encoder, list):  # newer versions: one for each text encoder
        text_encoder = text_encoder[0] if text_encoder else None
    own = {"unet_lr": given.get("unet_lr"), "text_encoder_lr": text_encoder}
    common = given.get("learning_rate")
    if all(rate in _OFF for rate in own.values()):
        own = dict.fromkeys(own, common)
    rates = {name: _number(common if rate in (None, "") else rate) for name, rate in own.items()
             if rate not in (None, "") or common not in (None, "")}  # fmt: skip
    if given.get("network_train_unet_only") is True:
        rates["text_encoder_lr"] = 0.0
    if given.get("network_train_text_encoder_only") is True:
        rates["unet_lr"] = 0.0
    return rates


def _network(given: Mapping[str, Any], taken: Taken) -> None:
    """Take conv_dim and conv_alpha from `network_args`, and name its other arguments and another kind of network."""
    arguments = given.get("network_args") or []
    for argument in arguments if isinstance(arguments, list) else str(arguments).split():
        name, _, text = str(argument).partition("=")
        numbers: dict[str, Callable[[str], int | float]] = {"conv_dim": int, "conv_alpha": float}
        try:
            taken.values[name.strip()] = numbers[name.strip()](text)
        except (KeyError, ValueError):
            taken.left.append(f"network_args {cell(str(argument), 60)}")
    module = given.get("network_module")
    if module not in (None, "", "networks.lora"):
        taken.left.append(f"network_module = {cell(str(module), 40)}")
    kind = given.get("LoRA_type")
    if kind not in (None, "", "Standard", "Kohya LoCon"):
        taken.left.append(f"LoRA_type = {cell(str(kind), 40)}")
    if kind == "Standard":  # the GUI saves the convolutions' values for every kind
        taken.values.pop("conv_dim", None)
        taken.values.pop("conv_alpha", None)
