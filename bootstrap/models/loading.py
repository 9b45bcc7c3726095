"""A loaded base model: read once, held by the process, shared by training and drawing."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from bootstrap.errors import UserError, in_one_line
from bootstrap.models import checkpoint, denormals
from bootstrap.models.specs import CONFIGS, BaseModelSpec, content_hash


@dataclass
class BaseModel:
    """The parts of a Stable Diffusion model, frozen, in evaluation mode."""

    spec: BaseModelSpec
    hash: str  # SHA-256, see base_model_spec.content_hash
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler_config: dict[str, Any]  # of its diffusers scheduler
    text_encoder_2: CLIPTextModelWithProjection | None = None  # Stable Diffusion XL has two
    tokenizer_2: CLIPTokenizer | None = None

    @property
    def is_sdxl(self) -> bool:
        """Whether it is Stable Diffusion XL, and not 1.x."""
        return self.text_encoder_2 is not None

    @property
    def text_encoders(self) -> list[CLIPTextModel | CLIPTextModelWithProjection]:
        """The one text encoder, or both."""
        return (
            [self.text_encoder] if self.text_encoder_2 is None else [self.text_encoder, self.text_encoder_2]
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.unet.parameters()).device  # diffusers' property walks through all modules, 2 ms

    @property
    def dtype(self) -> torch.dtype:
        """The type of the UNet's weights."""
        return next(self.unet.parameters()).dtype

    @cached_property
    def is_small(self) -> bool:
        """Whether a step is many tiny operations, and fits into any machine."""
        return sum(parameter.numel() for parameter in self.unet.parameters()) < 50_000_000

    @property
    def prediction_type(self) -> str:
        """`epsilon` or `v_prediction`."""
        return str(self.scheduler_config.get("prediction_type", "epsilon"))

    @property
    def vae_factor(self) -> int:
        """Pixels of picture to one of latent, along each side."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @property
    def size_step(self) -> int:
        """Width and height of a picture are multiples of this, in pixels."""
        return self.vae_factor * 2 ** (len(self.unet.config["down_block_types"]) - 1)

    @property
    def resolution(self) -> int:
        """Side of the square pictures that the model was made for, in pixels."""
        return int(self.unet.config["sample_size"]) * self.vae_factor


_held: dict[BaseModelSpec, BaseModel] = {}
_users_offline = (
    huggingface_hub.constants.HF_HUB_OFFLINE
)  # the user's wish, before _read sets it for local models


@denormals.as_zero()
def hold(spec: BaseModelSpec) -> BaseModel:
    """Return the loaded model; it stays in memory until another one is asked for.

    Raises:
        UserError: the files are no Stable Diffusion 1.x or XL model, or are damaged.
    """
    if spec not in _held:
        _held.clear()  # one at a time: two would not fit on most GPUs
        _held[spec] = _load(spec)
    return _held[spec]


def release() -> None:
    """Let go of the held model and its memory."""
    _held.clear()


def best_device() -> torch.device:
    """The first GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _load(spec: BaseModelSpec) -> BaseModel:
    device = best_device()
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    pipeline = _read(spec, dtype)
    family = checkpoint.family_of_folder(
        spec.name, {"_class_name": type(pipeline).__name__}, dict(pipeline.unet.config)
    )
    base = BaseModel(
        spec, content_hash(spec), pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.tokenizer,
        _scheduler_config(spec, pipeline),
        pipeline.text_encoder_2 if family == "sdxl" else None,
        pipeline.tokenizer_2 if family == "sdxl" else None,
    )  # fmt: skip
    for part in (base.unet, base.vae, *base.text_encoders):
        part.requires_grad_(False).eval().to(device)
    if base.is_sdxl and base.vae.config["force_upcast"]:
        base.vae.float()  # its activations do not fit into float16: the pictures would be black
    if device.type == "cuda":  # on a CPU a training step takes several times as long with it
        base.unet.to(memory_format=torch.channels_last)
        base.vae.to(memory_format=torch.channels_last)
    return base


def _scheduler_config(spec: BaseModelSpec, pipeline: Any) -> dict[str, Any]:
    """The scheduler's settings, with what the checkpoint's header and then project.toml say of the prediction."""
    config = dict(pipeline.scheduler.config)
    told = checkpoint.read(Path(spec.source)) if spec.kind == "file" else None
    if told is not None:
        config["prediction_type"] = told.prediction_type
    if spec.prediction_type is not None:
        config["prediction_type"] = spec.prediction_type
    # A model that learnt to draw from noise alone must begin with that; to tell the noise in it would be no help.
    if told is not None and told.zero_snr and config["prediction_type"] == "v_prediction":
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return config


def _read(spec: BaseModelSpec, dtype: torch.dtype) -> Any:
    # A model that lies here asks the hub for nothing; for one of the hub it is as the user wants it.
    huggingface_hub.constants.HF_HUB_OFFLINE = spec.kind != "hub" or _users_offline
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        return _read_file(spec, dtype) if spec.kind == "file" else _read_folder(spec, dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SingleFileComponentError) as error:
        reason = in_one_line(str(error))[:300]
        if spec.kind == "hub" and _users_offline:
            raise UserError(
                f"base model {spec.name}: it is not, or not all of it, in the cache, and HF_HUB_OFFLINE forbids to "
                f"download it: {reason}"
            ) from error
        raise UserError(f"base model {spec.name}: it cannot be loaded: {reason}") from error


def _read_file(spec: BaseModelSpec, dtype: torch.dtype) -> Any:
    shared = {"local_files_only": True, "dtype": dtype, "feature_extractor": None}
    if checkpoint.read(Path(spec.source)).family == "sd1":
        return StableDiffusionPipeline.from_single_file(
            spec.source, config=str(CONFIGS / "sd15"), safety_checker=None, requires_safety_checker=False,
            **shared,
        )  # fmt: skip
    # Both tokenizers have the words of SD1.5's; the second fills up with "!", which is token 0.
    tokenizers = [
        CLIPTokenizer.from_pretrained(CONFIGS / "sd15" / "tokenizer", local_files_only=True, **own)
        for own in ({}, {"pad_token": "!"})
    ]
    return StableDiffusionXLPipeline.from_single_file(
        spec.source, config=str(CONFIGS / "sdxl"), tokenizer=tokenizers[0], tokenizer_2=tokenizers[1],
        add_watermarker=False, **shared,
    )  # fmt: skip


def _read_folder(spec: BaseModelSpec, dtype: torch.dtype) -> Any:
    local = spec.kind != "hub"
    index = DiffusionPipeline.load_config(spec.source, local_files_only=local)
    without_extras = {"safety_checker": None, "requires_safety_checker": False}
    if checkpoint.family_of_folder(spec.name, index, {}) == "sdxl":
        without_extras = {"add_watermarker": False}
    return DiffusionPipeline.from_pretrained(
        spec.source, local_files_only=local, dtype=dtype, use_safetensors=True, **without_extras
    )
