"""Converting a LoRA file to another format."""

import os
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.lora import formats, kohya

FORMATS = ("kohya", "diffusers")


def convert(path: Path, out: Path, to_format: str) -> int:
    """Write a LoRA in one of FORMATS, with the same effect; return its number of modules.

    Raises:
        UserError: the format is unknown, the file is not a LoRA, or the target cannot be written.
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
