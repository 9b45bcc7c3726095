"""Read and convert LoRA files of every dialect. torch is imported when a file is read."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.lora.kohya import LoraFile


def read_lora(path: Path | str) -> "LoraFile":
    """Read a LoRA file of kohya, LyCORIS, OneTrainer, diffusers, PEFT or ComfyUI.

    Returns:
        Its `modules`, {kohya's name: a module with `down`, `up`, `alpha` and `rank`}, and its `metadata`. What is no
        product of two matrices is in `changes` (DoRA, GLoRA, (IA)^3, OFT, whole differences, norms), `biases` and
        `embeddings`, by name.

    Raises:
        UserError: the file is missing, damaged, for another kind of model, or not a LoRA, or a tensor is not known.
    """
    from bootstrap.lora import formats

    return formats.read(Path(path))


def convert_lora(path: Path | str, out: Path | str, to_format: str) -> int:
    """Convert a LoRA file into another format without changing what it draws; return its number of modules.

    Args:
        out: a .safetensors file other than `path`.
        to_format: "kohya", "diffusers" or "comfyui".

    Raises:
        UserError: the format is unknown, `path` cannot be read as a LoRA, or `out` cannot be written.
    """
    from bootstrap.lora import converting

    return converting.convert(Path(path), Path(out), to_format)
