"""The header of a .safetensors checkpoint: tensor names, shapes and metadata, without the weights."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bootstrap import reading
from bootstrap.errors import UserError

_REMEDY = "download the model again"
MOST_TENSORS = 100_000  # of a checkpoint; SDXL has 2,515
PredictionType = Literal["epsilon", "v_prediction"]

# Prefixes of tensor names that identify a kind of model for which there is no family.
_BEGINNINGS = {
    "conditioner.embedders.0.model.": "the refiner of Stable Diffusion XL",
    "cond_stage_model.model.": "Stable Diffusion 2.x",
    "edm_": "a model with EDM's noise schedule (Playground 2.5, CosXL)",
    "lora_": "a LoRA",
}
# Parts of tensor names that identify further such kinds, with or without the prefix `model.diffusion_model.`.
_WITHIN = {
    "joint_blocks.0.": "Stable Diffusion 3",
    "double_stream_modulation_img.": "FLUX.2",
    "double_blocks.0.img_attn.": "FLUX.1",
    "cap_pad_token": "Z-Image",
    "lora_A.": "a LoRA",
}
TRANSFORMERS = (
    "FLUX.2",
    "Z-Image",
)  # kinds whose files hold the transformer alone; folders of them have a family
_NOISY_LATENT = "model.diffusion_model.input_blocks.0.0.weight"  # the first convolution of a UNet


@dataclass(frozen=True)
class Header:
    """A checkpoint's header."""

    shapes: dict[str, tuple[int, ...]]  # of its tensors, by name
    metadata: dict[str, str]

    def has(self, beginning: str) -> bool:
        """Whether any tensor's name begins with this."""
        return any(name.startswith(beginning) for name in self.shapes)

    @property
    def prediction_type(self) -> PredictionType:
        """What the denoiser predicts: noise, or v.

        A v-prediction file has a tensor named `v_pred`, which AUTOMATIC1111 and ComfyUI look for, or
        `modelspec.prediction_type` "v" in its metadata (modelspec 1.0.1).
        """
        stated = self.metadata.get("modelspec.prediction_type")
        return "v_prediction" if "v_pred" in self.shapes or stated in ("v", "v_prediction") else "epsilon"

    @property
    def has_zero_snr(self) -> bool:
        """Whether it was trained with zero terminal SNR (the last step is pure noise): a tensor named `ztsnr`."""
        return "ztsnr" in self.shapes


def read(path: Path) -> Header:
    """Read only a checkpoint's header, to refuse a renamed pickle or a partial download before any work starts.

    Raises:
        UserError: it is not a safetensors file, or is truncated.
    """
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, size: int, modified: int) -> Header:
    """Read a file; size and modification time are part of the cache's key, so that a replaced file is read again."""
    header = reading.safetensors_header(path, f"base model {path}", _REMEDY)
    if len(header.shapes) > MOST_TENSORS:
        raise UserError(
            f"base model {path}: it has {len(header.shapes):,} tensors, {MOST_TENSORS:,} at most are read"
        )
    return Header(header.shapes, header.metadata)


def kind_without_family(header: Header) -> str | None:
    """Return the name of a checkpoint's kind if it is a known one without a family here, else None."""
    for beginning, kind in _BEGINNINGS.items():
        if header.has(beginning):
            return kind
    for inner, kind in _WITHIN.items():
        if any(inner in name for name in header.shapes):
            return kind
    first = header.shapes.get(_NOISY_LATENT, ())
    if len(first) == 4 and first[1] != 4:
        return "a model for inpainting or editing"
    return None


def read_json(path: Path | None) -> dict[str, Any]:
    """Read a configuration file of a base model; {} if there is none.

    Raises:
        UserError: it is not valid JSON, or no object.
    """
    if path is None:
        return {}
    where = f"base model: {path}"
    try:
        return reading.shaped(dict[str, Any], reading.json_file(path, where, _REMEDY), where, _REMEDY)
    except FileNotFoundError:
        return {}
