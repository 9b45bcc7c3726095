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
    "mlp", "fc1", "fc2", "input_blocks", "middle_block", "output_blocks", "in_layers", "out_layers", "emb_layers",
    "skip_connection", "op",
)  # fmt: skip
# Of a residual block: diffusers' names, and those of the first release.
_RESIDUAL = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
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
        ValueError: it is no name of a Stable Diffusion 1.x or XL module.
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
    """`down_blocks.1.attentions.0.proj_in` to `input_blocks.4.1.proj_in`; the outermost layers keep their names.

    Source: sd-scripts, library/sdxl_original_unet.py. Of a layer, the residual block is 0, attention is 1, and the way
    up is 2.
    """
    found = re.match(r"(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.(\w+)\.(\d+)\.(.+)", path)
    if found is None:
        return path
    side, block, kind, layer, rest = found.groups()
    rest = _RESIDUAL.get(rest, rest) if kind == "resnets" else rest
    if side == "mid_block":
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(layer)}.{rest}"
    first, place = _LAYERS * int(block), 1 if kind == "attentions" else 0
    if kind == "downsamplers":
        return f"input_blocks.{first + _LAYERS}.0.op"
    if kind == "upsamplers":
        return f"output_blocks.{first + _LAYERS - 1}.2.conv"
    if side == "down_blocks":  # input block 0 is the first convolution
        return f"input_blocks.{first + int(layer) + 1}.{place}.{rest}"
    return f"output_blocks.{first + int(layer)}.{place}.{rest}"


def _diffusers_path(name: str, path: str) -> str:
    """The way back from `_first_release_path`."""
    found = re.match(r"(?:(input|output)_blocks\.(\d+)|middle_block)\.([012])\.(.+)", path)
    if found is not None:
        side, number, place, rest = found[1], int(found[2] or 0), int(found[3]), found[4]
        kind = "attentions" if place == 1 else "resnets"
        own = next((ours for ours, theirs in _RESIDUAL.items() if theirs == rest), rest)
        block, layer = divmod(number - 1 if side == "input" else number, _LAYERS)
        ways = {
            "op": f"down_blocks.{block}.downsamplers.0.conv",
            "conv": f"up_blocks.{block}.upsamplers.0.conv",
        }
        if side is None:
            back = f"mid_block.{kind}.{place // 2}.{own}"
        else:
            back = ways.get(
                rest, f"{'down' if side == 'input' else 'up'}_blocks.{block}.{kind}.{layer}.{own}"
            )
        if _first_release_path(back) == path:
            return back
    raise ValueError(f"'{name}' is no module of Stable Diffusion XL")
