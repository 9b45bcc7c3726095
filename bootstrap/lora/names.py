"""Kohya's module names and diffusers' module paths, one from the other.

A kohya name is a path with `.` written as `_`, behind a prefix; the words of a path have `_` in them too, so the
way back needs to know the words. Of Stable Diffusion XL the UNet's blocks are named as in its first release
(`input_blocks`, `middle_block`, `output_blocks`), which numbers the layers through.
"""

import re
from collections.abc import Iterable
from typing import Literal

Part = Literal["unet", "text_encoder", "text_encoder_2"]

UNET_PREFIX = "lora_unet"
_TEXT_PREFIXES: dict[str, Part] = {
    "lora_te": "text_encoder",  # Stable Diffusion 1.x
    "lora_te1": "text_encoder",
    "lora_te2": "text_encoder_2",
}
_LAYERS = 3  # of a block of the first release: two with attention, and the way down or up
_WORDS = (
    "down_blocks", "up_blocks", "mid_block", "attentions", "resnets", "downsamplers", "upsamplers",
    "transformer_blocks", "attn1", "attn2", "to_q", "to_k", "to_v", "to_out", "ff", "net", "proj_in", "proj_out",
    "proj", "conv_shortcut", "time_emb_proj", "conv_in", "conv_out", "conv1", "conv2", "conv", "time_embedding",
    "linear_1", "linear_2", "text_model", "encoder", "layers", "self_attn", "q_proj", "k_proj", "v_proj", "out_proj",
    "mlp", "fc1", "fc2", "input_blocks", "middle_block", "output_blocks",
)  # fmt: skip
_WORD = re.compile("|".join([*sorted(_WORDS, key=len, reverse=True), r"\d+"]))

# Only XL has blocks of these names, a second text encoder, or several transformer blocks in a row.
_SDXL = re.compile(
    r"lora_te2_|text_encoder_2\.|lora_unet_(input_blocks|middle_block|output_blocks)_|transformer_blocks[._][1-9]"
)
_SD1 = re.compile(r"lora_te_|down_blocks[._]0[._]attentions")


def is_sdxl(names: Iterable[str]) -> bool:
    """Tell by a LoRA's names, kohya's or diffusers', whether it is of Stable Diffusion XL, and not of 1.x."""
    every = list(names)
    if any(_SDXL.search(name) for name in every):
        return True
    # Some tools write `lora_te1_` for 1.x too, so it is no sign of XL beside a sign of 1.x.
    return any(name.startswith("lora_te1_") for name in every) and not any(map(_SD1.search, every))


def kohya_name(path: str, part: Part, sdxl: bool = False) -> str:
    """Return kohya's name of a module path such as `mid_block.attentions.0.proj_in`."""
    if part == "unet":
        return f"{UNET_PREFIX}_{(_first_release_path(path) if sdxl else path).replace('.', '_')}"
    # transformers 5.6 and later have no `text_model` in their paths, but every tool expects it in the file.
    full = path if path.startswith("text_model.") else f"text_model.{path}"
    prefix = "lora_te" if not sdxl else "lora_te1" if part == "text_encoder" else "lora_te2"
    return f"{prefix}_{full.replace('.', '_')}"


def module_path(name: str) -> tuple[str, Part]:
    """Return the module path of kohya's name, in diffusers' names, and the part of the model that it is in.

    Raises:
        ValueError: it is no name of a Stable Diffusion 1.x module, or of one in XL's attention.
    """
    begun = re.match(r"lora_(unet|te[12]?)_", name)
    if begun is None:
        raise ValueError(
            f"'{name}' begins neither with {UNET_PREFIX}_ nor with one of {', '.join(_TEXT_PREFIXES)}"
        )
    rest, words = name[begun.end() :], []
    while rest:
        word = _WORD.match(rest)
        if word is None or not (len(rest) == word.end() or rest[word.end()] == "_"):
            raise ValueError(f"'{name}' has '{rest}' in it, which is no part of a Stable Diffusion module")
        words.append(word[0])
        rest = rest[word.end() + 1 :]
    prefix, path = begun[0].removesuffix("_"), ".".join(words)
    if prefix != UNET_PREFIX:
        return path, _TEXT_PREFIXES[prefix]
    if path.startswith(("input_blocks.", "middle_block.", "output_blocks.")):
        return _diffusers_path(name, path), "unet"
    return path, "unet"


def _first_release_path(path: str) -> str:
    """`down_blocks.1.attentions.0.proj_in` to `input_blocks.4.1.proj_in`; only attention has such names."""
    found = re.match(r"(down_blocks\.(\d+)|up_blocks\.(\d+)|mid_block)\.attentions\.(\d+)\.", path)
    if found is None:
        return path
    _, down, up, layer = found.groups()
    rest = path[found.end() :]
    if down is not None:  # input block 0 is the first convolution
        return f"input_blocks.{_LAYERS * int(down) + int(layer) + 1}.1.{rest}"
    if up is not None:
        return f"output_blocks.{_LAYERS * int(up) + int(layer)}.1.{rest}"
    return f"middle_block.1.{rest}"


def _diffusers_path(name: str, path: str) -> str:
    found = re.match(r"(?:(input|output)_blocks\.(\d+)|middle_block)\.1\.", path)
    if found is None:
        raise ValueError(f"'{name}' is no module in the attention of Stable Diffusion XL")
    side, number = found[1], int(found[2] or 0)
    rest = path[found.end() :]
    if side is None:
        return f"mid_block.attentions.0.{rest}"
    block, layer = divmod(number - 1 if side == "input" else number, _LAYERS)
    return f"{'down' if side == 'input' else 'up'}_blocks.{block}.attentions.{layer}.{rest}"
