"""The header of a LoRA file: format, tensor names and metadata, without the tensors. Does not import torch."""

import re
from pathlib import Path
from typing import Literal

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.models import registry
from bootstrap.models.family import Family

REMEDY = "download or train it again"
MOST_TENSORS = 50_000  # of a LoRA file; LyCORIS' files for all of SDXL have about 5,000
Format = Literal["kohya", "diffusers", "peft"]

# Parts of names that only a LoRA's tensors have.
_MATRIX = re.compile(r"\.(lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up)\.|^lora_")


def format_of(path: Path) -> Format:
    """Return a LoRA file's format, detected from the names of its tensors.

    Raises:
        UserError: it is missing, damaged, of an unsupported kind (DoRA), for another kind of model, or not a LoRA.
    """
    names = tensor_names(path)
    if any(".dora_scale" in name or "magnitude_vector" in name for name in names):
        raise UserError(f"LoRA {path}: it is a DoRA file, which is not supported")
    family = registry.of_lora(names)
    if family is None:
        if any(_MATRIX.search(name) for name in names):
            raise UserError(
                f"LoRA {path}: it was made for another kind of model than {registry.titles()}, such as FLUX or Stable "
                f"Diffusion 3 (it begins with '{names[0]}')"
            )
        raise UserError(
            f"LoRA {path}: not a LoRA in kohya's, diffusers' or PEFT's format (it begins with '{names[0]}')"
        )
    if all(name.startswith(family.kohya_prefixes) for name in names):
        return "kohya"
    if any(name.startswith(tuple(f"{part}." for part in family.parts)) for name in names):
        return "diffusers"
    return "peft"


def family_of(path: Path) -> Family:
    """Return the family of base models that a LoRA file was made for.

    Raises:
        UserError: see format_of.
    """
    format_of(path)
    family = registry.of_lora(tensor_names(path))
    assert family is not None
    return family


def tensor_names(path: Path) -> list[str]:
    """Return the names of a LoRA file's tensors, sorted.

    Raises:
        UserError: it is missing, damaged or empty, or has more than MOST_TENSORS.
    """
    reading.require_file(path, f"LoRA {path}")
    if path.suffix.lower() != ".safetensors":
        raise UserError(
            f"LoRA {path}: only .safetensors files are read; pickled ones can run code when opened"
        )
    names = sorted(reading.safetensors_header(path, f"LoRA {path}", REMEDY).shapes)
    if not names:
        raise UserError(f"LoRA {path}: it is empty")
    if len(names) > MOST_TENSORS:
        raise UserError(f"LoRA {path}: it has {len(names):,} tensors, {MOST_TENSORS:,} at most are read")
    return names


def metadata(path: Path) -> dict[str, str]:
    """Return the metadata in a safetensors file's header; {} for a damaged file."""
    try:
        return reading.safetensors_header(path, f"LoRA {path}", REMEDY).metadata
    except (UserError, OSError):
        return {}
