"""A loaded base model: read once, held by the process, shared by training and drawing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DiffusionPipeline, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from bootstrap.base_model_spec import BaseModelSpec, content_hash
from bootstrap.errors import UserError

CONFIGS = Path(__file__).parent / "configs"  # of base models that are a single file


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

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the UNet's weights."""
        return self.unet.dtype

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


def hold(spec: BaseModelSpec) -> BaseModel:
    """Return the loaded model; it stays in memory until another one is asked for.

    Raises:
        UserError: the files are no Stable Diffusion 1.x model, or are damaged.
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
    if not isinstance(pipeline, StableDiffusionPipeline):
        raise UserError(
            f"base model {spec.name}: it is a {type(pipeline).__name__}; only Stable Diffusion 1.x and models "
            "of its shape can be used so far"
        )
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        part.requires_grad_(False).eval().to(device)
    if device.type == "cuda":  # on a CPU a training step takes several times as long with it
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    return BaseModel(
        spec, content_hash(spec), pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.tokenizer,
        dict(pipeline.scheduler.config),
    )  # fmt: skip


def _read(spec: BaseModelSpec, dtype: torch.dtype) -> Any:
    _set_hub_offline(spec.kind != "hub")
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        if spec.kind == "file":
            return StableDiffusionPipeline.from_single_file(
                spec.source, config=str(CONFIGS / "sd15"), local_files_only=True, dtype=dtype,
                safety_checker=None, feature_extractor=None, requires_safety_checker=False,
            )  # fmt: skip
        return DiffusionPipeline.from_pretrained(
            spec.source, local_files_only=spec.kind != "hub", dtype=dtype, use_safetensors=True,
            safety_checker=None, requires_safety_checker=False,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SingleFileComponentError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"base model {spec.name}: it cannot be loaded: {reason}") from error


def _set_hub_offline(offline: bool) -> None:
    import huggingface_hub.constants

    os.environ["HF_HUB_OFFLINE"] = "1" if offline else "0"
    huggingface_hub.constants.HF_HUB_OFFLINE = offline  # read from the environment at import only
