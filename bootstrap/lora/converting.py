"""Converting a LoRA file to another format."""

import os
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.lora import alphas, formats, fused_modules, kohya
from bootstrap.lora.modules import LoraFile
from bootstrap.lora.rotations import InputRotation
from bootstrap.models import registry

FORMATS = ("kohya", "diffusers", "comfyui")


def convert(path: Path, out: Path, to_format: str) -> int:
    """Write a LoRA in one of FORMATS, with the same effect; return its number of modules.

    Raises:
        UserError: the format is unknown, the file is not a LoRA, or the target cannot be written.
    """
    if to_format not in FORMATS:
        raise UserError(f"--to {to_format}: unknown, use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    check_target(path, out)
    lora = formats.read(path)
    if to_format == "kohya":
        write_kohya(out, lora)
    elif to_format == "diffusers":
        formats.write_diffusers(out, lora)
    else:
        formats.write_comfyui(out, lora)
    return len(lora.names)


def write_kohya(out: Path, lora: LoraFile) -> None:
    """Write a LoRA in kohya's format, with one alpha for all modules; see bootstrap.lora.alphas.

    Raises:
        UserError: a module is of a kind that the format cannot hold.
    """
    for name, change in lora.changes.items():
        if isinstance(change, InputRotation):
            raise UserError(
                f"LoRA: module '{name}' is an {change.kind}, which kohya's format cannot hold with all its settings; "
                "use the file as it is"
            )
    whole = alphas.unified(lora)
    family = registry.of_lora(lora.names)
    in_file = whole if family is None else fused_modules.joined(whole, family.file_module)
    others = kohya.tensors_of_changes(in_file)
    kohya.write(out, whole.modules, kohya.own_metadata(whole), kohya.dtype_of(whole), others)


def check_target(path: Path, out: Path) -> None:
    """Refuse a target that is not a .safetensors file, is the source itself, or cannot be written.

    Raises:
        UserError: one of these.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"{out}: a LoRA file ends in .safetensors")
    if out.exists() and out.samefile(path):
        raise UserError(f"{out}: is the source file itself; write to another file")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"{out}: cannot be written; choose another place")
