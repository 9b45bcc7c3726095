"""Stable Diffusion's modules: converting between kohya's names and diffusers' paths.

A kohya name is a prefix and a path with `_` for `.`; the words of a path contain `_` too, so converting back needs a
list of the words. For Stable Diffusion XL, the UNet's blocks are named as in its original release (`input_blocks`,
`middle_block`, `output_blocks`), with layers numbered across blocks; ComfyUI's own files have those names for 1.x too.
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
    "skip_connection", "op", "add_embedding", "conv_norm_out", "norm1", "norm2", "norm3", "norm", "text_projection",
    "embeddings", "token_embedding", "position_embedding", "layer_norm1", "layer_norm2", "final_layer_norm",
    "time_embed", "label_emb", "out",
)  # fmt: skip
# Layers of a residual block: diffusers' names, and the original release's.
_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
# The original release's names of the layers outside of blocks, which kohya's files of XL do not use.
_OUTERMOST = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_FIRST_RELEASE = ("input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "label_emb.", "out.")
_WORD = re.compile("|".join([*sorted(_WORDS, key=len, reverse=True), r"\d+"]))

PREFIXES = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_")
_WRAPPED = "lycoris_"  # what LyCORIS' own wrapper writes before a path
# ComfyUI's names of parts: the UNet's in the original release, and the text encoders.
_COMFYUI = {
    "text_encoders.clip_l.transformer.": "text_encoder",
    "text_encoders.clip_g.transformer.": "text_encoder_2",
    "text_encoders.clip_l.": "text_encoder",
    "text_encoders.clip_g.": "text_encoder_2",
    "model.diffusion_model.": "unet",
    "diffusion_model.": "unet",
}
# Blocks and encoders of models other than Stable Diffusion 1.x and XL.
_OTHER_MODELS = re.compile(
    r"^(base_model\.model\.)?transformer\.|^lora_transformer_|double_blocks|single_blocks"
    r"|joint_blocks|single_transformer_blocks|^lora_te3_"
    r"|^lora_unet_(?:transformer_blocks_|layers_|noise_refiner_|context_refiner_|norm_out_linear|proj_out$|x_embedder"
    r"|context_embedder|double_stream_|single_stream_|time_guidance_|all_(?:x_|final_)|cap_embedder|t_embedder)"
)
_UNET = (
    r"down_blocks|mid_block|up_blocks|conv_in|conv_out|conv_norm_out|time_embedding|add_embedding|input_blocks"
    r"|middle_block|output_blocks|time_embed|label_emb"
)
# Beginnings of names: kohya's, LyCORIS', diffusers', ComfyUI's, and PEFT's, paths within a UNet or a text encoder.
_BEGINNING = re.compile(
    r"lora_unet_|lora_te[12]?_|(base_model\.model\.)?(unet|text_encoder(_2)?)\."
    rf"|lycoris_({_UNET}|text_model|encoder)_"
    rf"|(model\.)?diffusion_model\.({_UNET}|out)\.|text_encoders\.clip_[lg]\."
    rf"|(base_model\.model\.)?({_UNET}|text_model|encoder|text_projection)\."
)
# Only XL has a second text encoder, several consecutive transformer blocks, or an embedding of sizes.
_XL = re.compile(
    r"^lora_te2_|text_encoder_2\.|^text_encoders\.clip_g\.|transformer_blocks[._][1-9]|label_emb[._]|add_embedding[._]"
)
_FIRST_RELEASE_BLOCK = re.compile(r"(^|[._])(input_blocks|middle_block|output_blocks)[._]")
# Only 1.x has attention in the first and last blocks, a fourth block, or kohya's name of a single text encoder.
_SD1 = re.compile(
    r"^lora_te_|down_blocks[._]0[._]attentions|up_blocks[._]3[._]|down_blocks[._]3[._]"
    r"|input_blocks[._][12][._]1[._]|input_blocks[._]1[01][._]|output_blocks[._](9|10|11)[._]"
    r"|output_blocks[._][678][._]1[._]"
)


def are_of_xl(names: Iterable[str]) -> bool | None:
    """Whether a LoRA with these names, kohya's or diffusers', was made for Stable Diffusion XL rather than 1.x.

    None: for neither.
    """
    listed = list(names)
    if any(_OTHER_MODELS.search(name) for name in listed) or not any(map(_BEGINNING.match, listed)):
        return None
    if any(_XL.search(name) for name in listed):
        return True
    # Kohya writes the first release's names for XL alone, but ComfyUI for 1.x too; others write `lora_te1_` for 1.x.
    may_be_xl = any(name.startswith("lora_te1_") or _FIRST_RELEASE_BLOCK.search(name) for name in listed)
    return may_be_xl and not any(map(_SD1.search, listed))


def text_name(path: str, prefix: str) -> str:
    """Return kohya's name of a text encoder's module; `prefix` is `lora_te`, `lora_te1` or `lora_te2`.

    The names contain `text_model`, as every other tool expects, even if the installed transformers release (5.6 or
    later) no longer has a module of that name.
    """
    is_whole = path.startswith("text_model.") or path == "text_projection"  # which is beside the text model
    full = path if is_whole else f"text_model.{path}"
    return f"{prefix}_{full.replace('.', '_')}"


def module_path(name: str) -> tuple[str, str]:
    """Return diffusers' module path for a kohya name, and the part of the model that contains it.

    Raises:
        ValueError: it is not the name of a Stable Diffusion 1.x or XL module.
    """
    prefix = re.match(r"lora_(unet|te[12]?)_|lycoris_", name)
    if prefix is None:
        raise ValueError(f"'{name}' begins with none of {', '.join(_PARTS)}")
    rest, words = name[prefix.end() :], []
    if prefix[0] == _WRAPPED:
        part = "text_encoder" if rest.startswith(("text_model_", "encoder_")) else "unet"
    else:
        part = _PARTS[prefix[0].removesuffix("_")]
    while rest:
        word = _WORD.match(rest)
        if word is None or not (len(rest) == word.end() or rest[word.end()] == "_"):
            raise ValueError(
                f"'{name}' contains '{rest}', which is not part of a Stable Diffusion module's name"
            )
        words.append(word[0])
        rest = rest[word.end() + 1 :]
    path = ".".join(words)
    try:
        return (diffusers_path(path) if part == "unet" else path), part
    except ValueError:
        raise ValueError(f"'{name}' is not a module of Stable Diffusion 1.x or XL") from None


def stem_path(stem: str) -> tuple[str, str]:
    """Return path and part for `unet.down_blocks...`, `base_model.model.down_blocks...` or `diffusion_model...`.

    Raises:
        ValueError: it has ComfyUI's name of the UNet, but is no module of one.
    """
    stem = stem.removeprefix("base_model.model.")
    for beginning, part in _COMFYUI.items():
        if stem.startswith(beginning):
            path = stem.removeprefix(beginning)
            return (diffusers_path(path) if part == "unet" else path), part
    for part in ("unet", "text_encoder", "text_encoder_2"):
        if stem.startswith(f"{part}."):
            path = stem.removeprefix(f"{part}.").removeprefix("base_model.model.")
            return re.sub(r"\.processor\.(to_[a-z]+)$", _processor, path), part
    path = re.sub(r"\.processor\.(to_[a-z]+)$", _processor, stem)
    is_text = stem.startswith(("text_model.", "encoder.", "text_projection"))
    return path, ("text_encoder" if is_text else "unet")


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


def diffusers_path(path: str) -> str:
    """Convert the original release's path of a layer, as `input_blocks.4.1.proj_in`; diffusers' own paths stay.

    Raises:
        ValueError: it is not a module of Stable Diffusion 1.x or XL.
    """
    if path in _OUTERMOST:
        return _OUTERMOST[path]
    if not path.startswith(_FIRST_RELEASE):
        return path
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
            found = f"mid_block.{kind}.{place // 2}.{inner}"
        else:
            found = samplers.get(
                rest, f"{'down' if side == 'input' else 'up'}_blocks.{block}.{kind}.{layer}.{inner}"
            )
        # In 1.x, the first upsampler follows no attention and so has its place.
        if first_release_path(found) == path or path == "output_blocks.2.1.conv":
            return found
    raise ValueError(f"'{path}' is not a module of Stable Diffusion 1.x or XL")
