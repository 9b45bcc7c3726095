"""Reading Stable Diffusion's parts: models of the right size without memory, which weights.py fills from the files."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DiffusionPipeline, SchedulerMixin, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from bootstrap.errors import UserError
from bootstrap.models import checkpoint
from bootstrap.models.families import folder_files, release_names, weights
from bootstrap.models.families.release_names import Sources
from bootstrap.models.family import BaseModelSpec

_TITLES = {
    "unet": "UNet",
    "vae": "VAE",
    "text_encoder": "text encoder",
    "text_encoder_2": "second text encoder",
}
_CLASSES = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
_ENCODERS = {
    "CLIPTextModel": CLIPTextModel,
    "CLIPTextModelWithProjection": CLIPTextModelWithProjection,
}

Beginnings = Mapping[str, str]
"""{part: beginning of a text encoder's names in a single file}"""


def of_file(spec: BaseModelSpec, configs: Path, beginnings: Beginnings, dtype: torch.dtype) -> dict[str, Any]:
    """Read the parts of a single-file checkpoint, as keyword arguments of diffusers' pipeline, without tokenizers.

    Args:
        spec: of the checkpoint.
        configs: the configurations of its parts, in diffusers' layout.
        beginnings: of the text encoders; the one that OpenCLIP wrote ends with `.model.`.
        dtype: of the weights.

    Raises:
        UserError: a tensor is missing, of no part, or quantized in a way that is not read.
    """
    modules = {part: _module(spec, configs, part) for part in ("unet", "vae", *beginnings)}
    with weights.opened(spec.name, [Path(spec.source)]) as stored:
        average = release_names.only_average(stored.shapes)
        naming: dict[str, Callable[[Iterable[str]], Sources]] = {
            "unet": partial(release_names.unet, from_average=average),
            "vae": release_names.vae,
        }
        for part, beginning in beginnings.items():
            of_clip = release_names.open_clip if beginning.endswith(".model.") else release_names.text_encoder
            naming[part] = partial(of_clip, beginning=beginning)
        parts = [
            weights.Part(_TITLES[part], module, naming[part](module.state_dict()))
            for part, module in modules.items()
        ]
        weights.fill(spec.name, stored, parts, release_names.is_left_out, dtype)
    return {**modules, "scheduler": _scheduler(spec, configs)}


def of_folder(spec: BaseModelSpec, folder: Path, encoders: list[str], dtype: torch.dtype) -> dict[str, Any]:
    """Read the parts of a model in diffusers' layout, tokenizers included; see `of_file`.

    Args:
        spec: of the model.
        folder: where it lies on this machine.
        encoders: names of the text encoders, such as `text_encoder_2`.
        dtype: of the weights.
    """
    found: dict[str, Any] = {"scheduler": _scheduler(spec, folder)}
    for part in ("unet", "vae", *encoders):
        module = _module(spec, folder, part)
        sources = folder_files.sources(module.state_dict(), part)
        with weights.opened(spec.name, folder_files.of_part(folder / part, spec.name)) as stored:
            filled = weights.Part(_TITLES[part], module, sources)
            weights.fill(spec.name, stored, [filled], folder_files.is_left_out, dtype)
        found[part] = module
    for part in encoders:
        name = part.replace("text_encoder", "tokenizer")
        found[name] = CLIPTokenizer.from_pretrained(folder / name, local_files_only=True)
    return found


def downloaded(spec: BaseModelSpec) -> Path:
    """Return the folder of a hub model, downloading what is missing; where only fp16 files exist, those."""
    options: dict[str, Any] = {
        "local_files_only": spec.local_only, "use_safetensors": True, "safety_checker": None, "feature_extractor": None,
    }  # fmt: skip
    try:
        return Path(DiffusionPipeline.download(spec.source, **options))
    except OSError as error:
        try:
            return Path(DiffusionPipeline.download(spec.source, variant="fp16", **options))
        except (OSError, ValueError):
            raise error from None


def _module(spec: BaseModelSpec, folder: Path, part: str) -> nn.Module:
    """Return a part of the right size; its parameters have no memory yet."""
    named = checkpoint.read_json(folder / "model_index.json").get(part)
    kind = named[1] if isinstance(named, list) and len(named) == 2 else None
    config = checkpoint.read_json(folder / part / "config.json")
    if not config:
        raise UserError(
            f"base model {spec.name}: its folder {part} has no config.json; download the model again"
        )
    with init_empty_weights():  # random weights would take half a minute
        if part == "unet" and kind == _CLASSES[part]:
            module = UNet2DConditionModel.from_config(config)
        elif part == "vae" and kind == _CLASSES[part]:
            module = AutoencoderKL.from_config(config)
        elif part not in _CLASSES and kind in _ENCODERS:
            module = _ENCODERS[kind](CLIPTextConfig(**config))
        else:
            raise UserError(
                f"base model {spec.name}: its {_TITLES[part]} is a {kind}, which is not supported; take a plain base "
                "checkpoint"
            )
    made: nn.Module = module
    return made.eval()


def _scheduler(spec: BaseModelSpec, folder: Path) -> Any:
    """Return the scheduler that the model's index names."""
    named = checkpoint.read_json(folder / "model_index.json").get("scheduler")
    kind = named[1] if isinstance(named, list) and len(named) == 2 else ""
    known = getattr(diffusers, str(kind), None)
    if not (isinstance(known, type) and issubclass(known, SchedulerMixin)):
        raise UserError(f"base model {spec.name}: its scheduler is a {kind}, which is not supported")
    scheduler: Any = known
    return scheduler.from_pretrained(folder / "scheduler", local_files_only=True)
