"""Stable Diffusion's modules: converting between kohya's names and diffusers' paths.

A kohya name is a prefix and a path with `_` for `.`; the words of a path contain `_` too, so converting back needs a
list of the words. For Stable Diffusion XL, the UNet's blocks are named as in its original release (`input_blocks`,
`middle_block`, `output_blocks`), with layers numbered across blocks.
"""

import re
from collections.abc import Iterable

_PARTS = {
    "lora_unet": "unet",
    "lora_te": "text_encoder",  # Stable Diffusion 1.x
    "lora_te1": "text_encoder",
    "lora_te2": "text_encoder_2",
}
_LAYERS = 3  # per block in the original release's numbering
_WORDS = (
    "down_blocks", "up_blocks", "mid_block", "attentions", "resnets", "downsamplers", "upsamplers",
    "transformer_blocks", "attn1", "attn2", "to_q", "to_k", "to_v", "to_out", "ff", "net", "proj_in", "proj_out",
    "proj", "conv_shortcut", "time_emb_proj", "conv_in", "conv_out", "conv1", "conv2", "conv", "time_embedding",
    "linear_1", "linear_2", "text_model", "encoder", "layers", "self_attn", "q_proj", "k_proj", "v_proj", "out_proj",
    "mlp", "fc1", "fc2", "input_blocks", "middle_block", "output_blocks", "in_layers", "out_layers", "emb_layers",
    "skip_connection", "op",
)  # fmt: skip
# Layers of a residual block: diffusers' names, and the original release's.
_RESIDUAL = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_WORD = re.compile("|".join([*sorted(_WORDS, key=len, reverse=True), r"\d+"]))

PREFIXES = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_")
# Blocks and encoders of models other than Stable Diffusion 1.x and XL.
_OTHER_MODELS = re.compile(
    r"^(base_model\.model\.)?transformer\.|^lora_transformer_|double_blocks|single_blocks"
    r"|joint_blocks|single_transformer_blocks|^lora_te3_"
)
# Beginnings of names: kohya's, diffusers', and PEFT's, which are paths within a UNet or a text encoder.
_BEGINNING = re.compile(
    r"lora_unet_|lora_te[12]?_|unet\.|text_encoder(_2)?\."
    r"|(base_model\.model\.)?(down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding|text_model|encoder)\."
)
# Only XL has blocks with these names, a second text encoder, or several consecutive transformer blocks.
_XL = re.compile(
    r"lora_te2_|text_encoder_2\.|lora_unet_(input_blocks|middle_block|output_blocks)_|transformer_blocks[._][1-9]"
)
_SD1 = re.compile(r"lora_te_|down_blocks[._]0[._]attentions")


def are_of_xl(names: Iterable[str]) -> bool | None:
    """Whether a LoRA with these names, kohya's or diffusers', was made for Stable Diffusion XL rather than 1.x.

    None: for neither.
    """
    listed = list(names)
    if any(_OTHER_MODELS.search(name) for name in listed) or not any(map(_BEGINNING.match, listed)):
        return None
    if any(_XL.search(name) for name in listed):
        return True
    # Some tools write `lora_te1_` for 1.x too, so it indicates XL only without a name that indicates 1.x.
    return any(name.startswith("lora_te1_") for name in listed) and not any(map(_SD1.search, listed))


def text_name(path: str, prefix: str) -> str:
    """Return kohya's name of a text encoder's module; `prefix` is `lora_te`, `lora_te1` or `lora_te2`.

    The names contain `text_model`, as every other tool expects, even if the installed transformers release (5.6 or
    later) no longer has a module of that name.
    """
    full = path if path.startswith("text_model.") else f"text_model.{path}"
    return f"{prefix}_{full.replace('.', '_')}"


def module_path(name: str) -> tuple[str, str]:
    """Return diffusers' module path for a kohya name, and the part of the model that contains it.

    Raises:
        ValueError: it is not the name of a Stable Diffusion 1.x or XL module.
    """
    prefix = re.match(r"lora_(unet|te[12]?)_", name)
    if prefix is None:
        raise ValueError(f"'{name}' begins with none of {', '.join(_PARTS)}")
    rest, words = name[prefix.end() :], []
    while rest:
        word = _WORD.match(rest)
        if word is None or not (len(rest) == word.end() or rest[word.end()] == "_"):
            raise ValueError(
                f"'{name}' contains '{rest}', which is not part of a Stable Diffusion module's name"
            )
        words.append(word[0])
        rest = rest[word.end() + 1 :]
    part, path = _PARTS[prefix[0].removesuffix("_")], ".".join(words)
    if part == "unet" and path.startswith(("input_blocks.", "middle_block.", "output_blocks.")):
        return _diffusers_path(name, path), part
    return path, part


def stem_path(stem: str) -> tuple[str, str]:
    """Return path and part for `unet.down_blocks...` or `base_model.model.down_blocks...`."""
    stem = stem.removeprefix("base_model.model.")
    for part in ("unet", "text_encoder", "text_encoder_2"):
        if stem.startswith(f"{part}."):
            return re.sub(r"\.processor\.(to_[a-z]+)$", _processor, stem.removeprefix(f"{part}.")), part
    return stem, ("text_encoder" if stem.startswith(("text_model.", "encoder.")) else "unet")


def _processor(match: re.Match[str]) -> str:
    return f".{match[1]}.0" if match[1] == "to_out" else f".{match[1]}"


def first_release_path(path: str) -> str:
    """Convert `down_blocks.1.attentions.0.proj_in` to `input_blocks.4.1.proj_in`; outermost layers keep their names.

    Source: sd-scripts, library/sdxl_original_unet.py. Within a layer, the residual block has index 0, attention 1, and
    the upsampler 2.
    """
    match = re.match(r"(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.(\w+)\.(\d+)\.(.+)", path)
    if match is None:
        return path
    side, block, kind, layer, rest = match.groups()
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
    """Invert `first_release_path`."""
    match = re.match(r"(?:(input|output)_blocks\.(\d+)|middle_block)\.([012])\.(.+)", path)
    if match is not None:
        side, number, place, rest = match[1], int(match[2] or 0), int(match[3]), match[4]
        kind = "attentions" if place == 1 else "resnets"
        inner = next((name for name, original in _RESIDUAL.items() if original == rest), rest)
        block, layer = divmod(number - 1 if side == "input" else number, _LAYERS)
        samplers = {
            "op": f"down_blocks.{block}.downsamplers.0.conv",
            "conv": f"up_blocks.{block}.upsamplers.0.conv",
        }
        if side is None:
            diffusers_path = f"mid_block.{kind}.{place // 2}.{inner}"
        else:
            diffusers_path = samplers.get(
                rest, f"{'down' if side == 'input' else 'up'}_blocks.{block}.{kind}.{layer}.{inner}"
            )
        if first_release_path(diffusers_path) == path:
            return diffusers_path
    raise ValueError(f"'{name}' is not a module of Stable Diffusion XL")
