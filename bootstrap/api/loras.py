"""Read and convert LoRA files of every dialect. torch is imported when a file is read."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.lora.kohya import LoraFile


def read_lora(path: Path | str) -> "LoraFile":
    """Read a LoRA file in kohya's, diffusers', PEFT's or LyCORIS' format.

    Returns:
        Its `modules`, {kohya's name: a module with `down`, `up`, `alpha` and `rank`}, and its `metadata`.

    Raises:
        UserError: the file is missing, damaged, of an unsupported kind, or not a LoRA.
    """
    from bootstrap.lora import formats

    return formats.read(Path(path))


def convert_lora(path: Path | str, out: Path | str, to_format: str) -> int:
    """Convert a LoRA file into another format without changing what it draws; return its number of modules.

    Args:
        out: a .safetensors file other than `path`.
        to_format: "kohya" or "diffusers".

    Raises:
        UserError: the format is unknown, `path` cannot be read as a LoRA, or `out` cannot be written.
    """
    from bootstrap.lora import converting

    return converting.convert(Path(path), Path(out), to_format)
