"""Stable Diffusion's modules: kohya's names and diffusers' paths, one from the other.

A kohya name is a path with `.` written as `_`, behind a prefix; the words of a path have `_` in them too, so the
way back needs to know the words. Of Stable Diffusion XL the UNet's blocks are named as in its first release
(`input_blocks`, `middle_block`, `output_blocks`), which numbers the layers through.
"""

import re
from collections.abc import Iterable

_PARTS = {
    "lora_unet": "unet",
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

PREFIXES = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_")
# Blocks and encoders of models that are no Stable Diffusion 1.x or XL.
_OTHERS = re.compile(
    r"^(base_model\.model\.)?transformer\.|^lora_transformer_|double_blocks|single_blocks"
    r"|joint_blocks|single_transformer_blocks|^lora_te3_"
)
# How names begin: kohya's, diffusers', and PEFT's, which are paths inside of a UNet or a text encoder.
_BEGINNING = re.compile(
    r"lora_unet_|lora_te[12]?_|unet\.|text_encoder(_2)?\."
    r"|(base_model\.model\.)?(down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding|text_model|encoder)\."
)
# Only XL has blocks of these names, a second text encoder, or several transformer blocks in a row.
_XL = re.compile(
    r"lora_te2_|text_encoder_2\.|lora_unet_(input_blocks|middle_block|output_blocks)_|transformer_blocks[._][1-9]"
)
_SD1 = re.compile(r"lora_te_|down_blocks[._]0[._]attentions")


def are_of_xl(names: Iterable[str]) -> bool | None:
    """Whether a LoRA with these names, kohya's or diffusers', is of Stable Diffusion XL, and not of 1.x.

    None: it is of neither.
    """
    every = list(names)
    if any(_OTHERS.search(name) for name in every) or not any(_BEGINNING.match(name) for name in every):
        return None
    if any(_XL.search(name) for name in every):
        return True
    # Some tools write `lora_te1_` for 1.x too, so it is no sign of XL beside a sign of 1.x.
    return any(name.startswith("lora_te1_") for name in every) and not any(map(_SD1.search, every))


def text_name(path: str, prefix: str) -> str:
    """Return kohya's name of a text encoder's module; the prefix is `lora_te` or the like.

    The names have `text_model` in them, as every other tool expects, whether or not the installed transformers
    release (5.6 and later have not) still has a module of that name.
    """
    full = path if path.startswith("text_model.") else f"text_model.{path}"
    return f"{prefix}_{full.replace('.', '_')}"


def module_path(name: str) -> tuple[str, str]:
    """Return the module path of kohya's name, in diffusers' names, and the part of the model that it is in.

    Raises:
        ValueError: it is no name of a Stable Diffusion 1.x or XL module.
    """
    begun = re.match(r"lora_(unet|te[12]?)_", name)
    if begun is None:
        raise ValueError(f"'{name}' begins with none of {', '.join(_PARTS)}")
    rest, words = name[begun.end() :], []
    while rest:
        word = _WORD.match(rest)
        if word is None or not (len(rest) == word.end() or rest[word.end()] == "_"):
            raise ValueError(f"'{name}' has '{rest}' in it, which is no part of a Stable Diffusion module")
        words.append(word[0])
        rest = rest[word.end() + 1 :]
    part, path = _PARTS[begun[0].removesuffix("_")], ".".join(words)
    if part == "unet" and path.startswith(("input_blocks.", "middle_block.", "output_blocks.")):
        return _diffusers_path(name, path), part
    return path, part


def stem_path(stem: str) -> tuple[str, str]:
    """Return path and part of `unet.down_blocks...` or `base_model.model.down_blocks...`."""
    stem = stem.removeprefix("base_model.model.")
    for part in ("unet", "text_encoder", "text_encoder_2"):
        if stem.startswith(f"{part}."):
            return re.sub(r"\.processor\.(to_[a-z]+)$", _processor, stem.removeprefix(f"{part}.")), part
    return stem, ("text_encoder" if stem.startswith(("text_model.", "encoder.")) else "unet")


def _processor(found: re.Match[str]) -> str:
    return f".{found[1]}.0" if found[1] == "to_out" else f".{found[1]}"


def first_release_path(path: str) -> str:
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
    """The way back from `first_release_path`."""
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
        if first_release_path(back) == path:
            return back
    raise ValueError(f"'{name}' is no module of Stable Diffusion XL")
