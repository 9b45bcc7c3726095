"""What the header of a LoRA file says, without its tensors: format, names and metadata. No torch is imported."""

import re
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from bootstrap.errors import UserError

Format = Literal["kohya", "diffusers", "peft"]

# Blocks of models that are no UNet.
_OTHER_MODELS = re.compile(
    r"^(base_model\.model\.)?transformer\.|^lora_transformer_|double_blocks|single_blocks"
    r"|joint_blocks|single_transformer_blocks|^lora_te3_"
)


def format_of(path: Path) -> Format:
    """Tell a LoRA file's format by the names of its tensors.

    Raises:
        UserError: it is missing, damaged, of a kind that is not read (DoRA), for another kind of model,
            or no LoRA.
    """
    names = tensor_names(path)
    if any(".dora_scale" in name or "magnitude_vector" in name for name in names):
        raise UserError(f"LoRA {path}: it is a DoRA file, which is not read")
    if any(_OTHER_MODELS.search(name) for name in names):
        raise UserError(
            f"LoRA {path}: it was made for another kind of model than Stable Diffusion 1.x and XL, such as FLUX or "
            "Stable Diffusion 3"
        )
    if all(name.startswith(("lora_unet_", "lora_te")) for name in names):
        return "kohya"
    if any(name.startswith(("unet.", "text_encoder.", "text_encoder_2.")) for name in names):
        return "diffusers"
    if any(".lora_A." in name for name in names):
        return "peft"
    raise UserError(
        f"LoRA {path}: no LoRA in kohya's, diffusers' or PEFT's format (it begins with '{names[0]}')"
    )


def tensor_names(path: Path) -> list[str]:
    """Return the names of a LoRA file's tensors, sorted.

    Raises:
        UserError: it is missing, damaged or empty.
    """
    if not path.is_file():
        raise UserError(f"LoRA {path}: there is no such file")
    if path.suffix.lower() != ".safetensors":
        raise UserError(
            f"LoRA {path}: only .safetensors files are read; pickled ones can run code when opened"
        )
    try:
        with safe_open(path, framework="np") as file:
            names = sorted(file.keys())
    except (SafetensorError, OSError) as error:
        raise UserError(f"LoRA {path}: damaged, or no safetensors file ({error})") from None
    if not names:
        raise UserError(f"LoRA {path}: it is empty")
    return names


def metadata(path: Path) -> dict[str, str]:
    """Return what a safetensors file's header says about it; nothing of a damaged file."""
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}
