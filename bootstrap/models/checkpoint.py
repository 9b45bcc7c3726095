"""The header of a .safetensors checkpoint: tensor names, shapes and metadata, without the weights."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from bootstrap.errors import UserError

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
    "lora_A.": "a LoRA",
}
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
    raw = _raw(path)
    metadata = raw.pop("__metadata__", None) or {}
    return Header({name: tuple(entry.get("shape", ())) for name, entry in raw.items()}, metadata)


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
        UserError: it is not valid JSON.
    """
    if path is None:
        return {}
    try:
        return cast("dict[str, Any]", json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"base model: {path} is not valid JSON; download the model again") from None


def _raw(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise UserError(f"base model {path}: not a safetensors file, or an incomplete download")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            end = max(
                (int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__"),
                default=0,
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise UserError(f"base model {path}: its safetensors header is damaged") from None
    if len(header) > MOST_TENSORS:
        raise UserError(
            f"base model {path}: it has {len(header):,} tensors, {MOST_TENSORS:,} at most are read"
        )
    if size < 8 + length + end:
        raise UserError(
            f"base model {path}: the file is cut off, {8 + length + end - size:,} bytes are missing"
        )
    return header
