"""Writing a LoRA file in another format."""

import os
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.lora import formats, kohya

FORMATS = ("kohya", "diffusers")


def convert(path: Path, out: Path, to_format: str) -> int:
    """Write a LoRA in one of FORMATS, in which it draws the same; return how many modules it has.

    Raises:
        UserError: the format is unknown, the file is no LoRA, or the target cannot be written.
    """
    if to_format not in FORMATS:
        raise UserError(f"--to {to_format}: unknown, use {' or '.join(FORMATS)}")
    check_target(path, out)
    lora = formats.read(path)
    if to_format == "kohya":
        kohya.write(out, lora.modules, kohya.own_metadata(lora), kohya.dtype_of(lora))
    else:
        formats.write_diffusers(out, lora)
    return len(lora.modules)


def check_target(path: Path, out: Path) -> None:
    """Refuse a target that is not a .safetensors file, is the file that is read, or cannot be written.

    Raises:
        UserError: says which, and what to do.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"{out}: a LoRA file ends in .safetensors")
    if out.exists() and out.samefile(path):
        raise UserError(f"{out}: is the file that is read; write to another one")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"{out}: cannot be written there")
