"""Names of tensors in a single-file checkpoint of Stable Diffusion: those of the original releases.

Sources: CompVis/stable-diffusion (ldm/modules/diffusionmodules/openaimodel.py and model.py) and
Stability-AI/generative-models, whose modules the names describe; OpenCLIP for XL's second text encoder.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bootstrap.models.families import kohya_names

UNET = "model.diffusion_model."
VAE = "first_stage_model."
_EMA = "model_ema."

# The UNet's layers outside its blocks.
_OUTER = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESIDUAL_NORMS = {"norm1": "in_layers.0", "norm2": "out_layers.0"}
_VAE_ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"
}  # fmt: skip
_OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
_OPEN_CLIP_OUTER = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}

# What a file may hold besides its model, and what no reader of these files uses: a training's own average of the
# weights beside the weights, its losses and tables of the noise schedule, CLIP's parts that compare texts with
# pictures, and marks without content. Everything else must be used.
_LEFT_OUT = re.compile(
    r"model_ema\..*|first_stage_model\.(loss|model_ema)\..*|(.*\.)?(position_ids|attn_mask|scaled_fp8)"
    r"|v_pred|ztsnr|scale_factor|denoiser\.sigmas|betas|logvar|lvlb_weights|(sqrt_|log_)?(one_minus_)?alphas_cumprod"
    r"|alphas_cumprod_prev|sqrt_recip(m1)?_alphas_cumprod|posterior_(variance|log_variance_clipped|mean_coef[12])"
    r"|(cond_stage_model|conditioner\.embedders\.[01])\.(model\.|transformer\.)?logit_scale"
    r"|(cond_stage_model|conditioner\.embedders\.0)\.transformer\.text_projection(\.weight)?"
)


@dataclass(frozen=True)
class Source:
    """A tensor of a file from which one of a model comes."""

    name: str
    third: int | None = None  # 0, 1, 2: only these rows of a tensor that joins query, key and value
    transposed: bool = False


Sources = dict[str, Sequence[Source]]
"""{tensor of a model: the tensors that it may come from, the usual one first}"""


def is_left_out(name: str) -> bool:
    """Whether a tensor of a single-file checkpoint is none of the model's weights, so that nothing is lost."""
    return _LEFT_OUT.fullmatch(name) is not None


def unet(names: Iterable[str], from_average: bool) -> Sources:
    """Return the sources of a UNet's tensors.

    Args:
        names: of diffusers' UNet.
        from_average: the file has only the average of the weights (EMA), whose names have no dots.
    """
    listed = list(names)
    with_attention = {
        match[1] for name in listed if (match := re.match(r"up_blocks\.(\d+)\.attentions", name))
    }
    found = {name: _unet_name(name, with_attention) for name in listed}
    if not from_average:
        return {name: [Source(UNET + original)] for name, original in found.items()}
    beginning = UNET.removeprefix("model.")
    return {
        name: [Source(_EMA + f"{beginning}{original}".replace(".", ""))] for name, original in found.items()
    }


def _unet_name(name: str, with_attention: set[str]) -> str:
    module, _, kind = name.rpartition(".")
    if module in _OUTER:
        return f"{_OUTER[module]}.{kind}"
    path = kohya_names.first_release_path(module)
    if ".resnets." in module:
        stem, _, last = path.rpartition(".")
        path = f"{stem}.{_RESIDUAL_NORMS.get(last, last)}"
    upsampler = re.match(r"up_blocks\.(\d+)\.upsamplers", module)
    if upsampler and upsampler[1] not in with_attention:  # it follows the residual block at once
        path = path.replace(".2.conv", ".1.conv")
    return f"{path}.{kind}"


def only_average(names: Iterable[str]) -> bool:
    """Whether a file has the average (EMA) of a UNet's weights, and not the weights."""
    listed = list(names)
    return any(name.startswith(_EMA) for name in listed) and not any(name.startswith(UNET) for name in listed)


def vae(names: Iterable[str]) -> Sources:
    """Return the sources of a VAE's tensors."""
    listed = list(names)
    up_blocks = {match[1] for name in listed if (match := re.match(r"decoder\.up_blocks\.(\d+)\.", name))}
    return {name: [Source(VAE + _vae_name(name, len(up_blocks)))] for name in listed}


def _vae_name(name: str, up_blocks: int) -> str:
    for ours, theirs in (("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out")):
        name = name.replace(ours, theirs)
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    # The original numbers the decoder's blocks from the picture inwards.
    name = re.sub(r"up_blocks\.(\d+)\.", lambda match: f"up.{up_blocks - 1 - int(match[1])}.", name)
    if ".up." in name:
        name = name.replace(".resnets.", ".block.").replace(".upsamplers.0.", ".upsample.")
    name = re.sub(r"mid_block\.resnets\.(\d)\.", lambda match: f"mid.block_{int(match[1]) + 1}.", name)
    attention = re.match(r"(\w+)\.mid_block\.attentions\.0\.(.+)\.(\w+)$", name)
    if attention:
        return f"{attention[1]}.mid.attn_1.{_VAE_ATTENTION[attention[2]]}.{attention[3]}"
    return name


def text_encoder(names: Iterable[str], beginning: str) -> Sources:
    """Return the sources of a CLIP text encoder's tensors, whose names in a file may lack `text_model.`.

    Args:
        beginning: of the file's names, such as `cond_stage_model.transformer.`.
    """
    sources: Sources = {}
    for name in names:
        inner = name.removeprefix("text_model.")
        sources[name] = [Source(f"{beginning}text_model.{inner}"), Source(beginning + inner)]
    return sources


def open_clip(names: Iterable[str], beginning: str) -> Sources:
    """Return the sources of an OpenCLIP text encoder's tensors; the file joins query, key and value in one.

    Args:
        beginning: of the file's names, such as `conditioner.embedders.1.model.`.
    """
    sources: Sources = {}
    for name in names:
        inner = name.removeprefix("text_model.")
        layer = re.match(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$", inner)
        if inner == "text_projection.weight":
            sources[name] = [
                Source(f"{beginning}text_projection", transposed=True),
                Source(f"{beginning}text_projection.weight"),
            ]
        elif layer is None:
            sources[name] = [Source(beginning + _OPEN_CLIP_OUTER.get(inner, inner))]
        else:
            block = f"{beginning}transformer.resblocks.{layer[1]}."
            joined = re.match(r"self_attn\.([qkv])_proj$", layer[2])
            if joined:
                sources[name] = [Source(f"{block}attn.in_proj_{layer[3]}", third="qkv".index(joined[1]))]
            else:
                sources[name] = [Source(f"{block}{_OPEN_CLIP.get(layer[2], layer[2])}.{layer[3]}")]
    return sources
