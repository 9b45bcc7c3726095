"""What a checkpoint in one .safetensors file is, told by its header: names, shapes and metadata, no weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bootstrap.errors import UserError

Family = Literal["sd1", "sdxl"]
PredictionType = Literal["epsilon", "v_prediction"]

# How the names begin that only checkpoints of one kind have. Of those that can be used: the text encoders'.
_SD1 = "cond_stage_model.transformer."
_SDXL = "conditioner.embedders.1."
_OTHERS = {
    "conditioner.embedders.0.model.": "the refiner of Stable Diffusion XL",
    "cond_stage_model.model.": "Stable Diffusion 2.x",
    "edm_": "a model with EDM's noise schedule (Playground 2.5, CosXL)",
    "lora_": "a LoRA",
}
# Names that other kinds have somewhere, with `model.diffusion_model.` before them or without.
_OTHERS_WITHIN = {
    "joint_blocks.0.": "Stable Diffusion 3",
    "double_stream_modulation_img.": "FLUX.2",
    "double_blocks.0.img_attn.": "FLUX.1",
    "lora_A.": "a LoRA",
}
_NOISY_LATENT = "model.diffusion_model.input_blocks.0.0.weight"  # the UNet's first convolution


@dataclass(frozen=True)
class Checkpoint:
    """What the header tells."""

    family: Family
    prediction_type: PredictionType
    zero_snr: bool  # trained with a noise schedule whose last step is noise alone


def read(path: Path) -> Checkpoint:
    """Tell what a checkpoint is.

    That it predicts v stands in the file as a tensor named `v_pred` (and `ztsnr` for zero terminal SNR), which
    AUTOMATIC1111 and ComfyUI look for, or in its metadata as `modelspec.prediction_type` "v" (modelspec 1.0.1).

    Raises:
        UserError: it is no safetensors file, is cut off, or is no checkpoint of Stable Diffusion 1.x or XL.
    """
    header = _header(path)
    metadata = header.pop("__metadata__", None) or {}
    family = _family(path, header)
    predicts_v = "v_pred" in header or metadata.get("modelspec.prediction_type") in ("v", "v_prediction")
    return Checkpoint(family, "v_prediction" if predicts_v else "epsilon", "ztsnr" in header)


def family_of_folder(name: str, index: dict[str, Any], unet: dict[str, Any]) -> Family:
    """Tell what a model in diffusers' layout is.

    Args:
        name: of the base model, for the message.
        index: what stands in its model_index.json.
        unet: what stands in unet/config.json; what is not known yet may be missing.

    Raises:
        UserError: it is neither Stable Diffusion 1.x nor XL.
    """
    pipeline = index.get("_class_name")
    if pipeline == "StableDiffusionPipeline" and unet.get("cross_attention_dim") == 1024:
        raise UserError(_refusal(name, "Stable Diffusion 2.x"))
    families: dict[Any, Family] = {"StableDiffusionPipeline": "sd1", "StableDiffusionXLPipeline": "sdxl"}
    if pipeline is None:
        raise UserError(f"base model {name}: its model_index.json names no pipeline; fetch the model again")
    if pipeline not in families:
        raise UserError(_refusal(name, f"a {pipeline}"))
    return families[pipeline]


def _refusal(name: str | Path, what: str) -> str:
    return (
        f"base model {name}: it is {what}; take a Stable Diffusion 1.x or Stable Diffusion XL base checkpoint"
    )


def _family(path: Path, tensors: dict[str, Any]) -> Family:
    for beginning, what in _OTHERS.items():
        if any(name.startswith(beginning) for name in tensors):
            raise UserError(_refusal(path, what))
    for inner, what in _OTHERS_WITHIN.items():
        if any(inner in name for name in tensors):
            raise UserError(_refusal(path, what))
    first = tensors.get(_NOISY_LATENT, {}).get("shape", [])
    if len(first) == 4 and first[1] != 4:
        raise UserError(_refusal(path, "a model for inpainting or editing"))
    if any(name.startswith(_SDXL) for name in tensors):
        return "sdxl"
    if any(name.startswith(_SD1) for name in tensors):
        return "sd1"
    if any(name.startswith("model.diffusion_model.") for name in tensors):
        raise UserError(_refusal(path, "a model without CLIP text encoders"))
    raise UserError(_refusal(path, "of an unknown kind"))


def _header(path: Path) -> dict[str, Any]:
    """Read the header only: a renamed pickle or a cut download is told before any work starts."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise UserError(f"base model {path}: no safetensors file, or a download that broke off")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            end = max(
                (int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__"),
                default=0,
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise UserError(f"base model {path}: its safetensors header is damaged") from None
    if size < 8 + length + end:
        raise UserError(
            f"base model {path}: the file is cut off, {8 + length + end - size:,} bytes are missing"
        )
    return header
