"""LoRA files of every dialect: read and converted. torch is imported when one is read."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.lora.kohya import LoraFile


def read_lora(path: Path | str) -> "LoraFile":
    """Read a LoRA file in kohya's, diffusers', PEFT's or LyCORIS' format.

    Returns:
        Its `modules`, {kohya's name: a module with `down`, `up`, `alpha` and `rank`}, and its `metadata`.

    Raises:
        UserError: it is missing, damaged, of a kind that is not read, or no LoRA.
    """
    from bootstrap.lora import formats

    return formats.read(Path(path))


def convert_lora(path: Path | str, out: Path | str, to_format: str) -> int:
    """Write a LoRA file in another format, in which it draws the same; return how many modules it has.

    Args:
        out: another .safetensors file than `path`.
        to_format: "kohya" or "diffusers".

    Raises:
        UserError: the format is unknown, `path` cannot be read as a LoRA, or `out` cannot be written.
    """
    from bootstrap.lora import converting

    return converting.convert(Path(path), Path(out), to_format)
