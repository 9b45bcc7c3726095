"""Make small Stable Diffusion checkpoints in a single .safetensors file, in the original layout.

The names are those of the CompVis code and of Stability AI's generative-models, in which SD1.5 and SDXL checkpoints are
shared; diffusers reads them.
"""

import json
import re
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

_RESNET = (
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("norm2", "out_layers.0"), ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"), ("conv_shortcut", "skip_connection"),
)  # fmt: skip


def unet_name(name: str, sdxl: bool = False) -> str:
    """Return CompVis's name of a tensor of diffusers' UNet with two layers per block."""
    if ".resnets." in name:
        for ours, theirs in _RESNET:
            name = name.replace(f".{ours}.", f".{theirs}.")
    rules = (
        (r"add_embedding\.linear_(\d)", lambda m: f"label_emb.0.{2 * int(m[1]) - 2}"),
        (r"time_embedding\.linear_(\d)", lambda m: f"time_embed.{2 * int(m[1]) - 2}"),
        (r"^conv_in", lambda m: "input_blocks.0.0"),
        (r"^conv_norm_out", lambda m: "out.0"),
        (r"^conv_out", lambda m: "out.2"),
        (r"down_blocks\.(\d)\.resnets\.(\d)", lambda m: f"input_blocks.{3 * int(m[1]) + int(m[2]) + 1}.0"),
        (r"down_blocks\.(\d)\.attentions\.(\d)", lambda m: f"input_blocks.{3 * int(m[1]) + int(m[2]) + 1}.1"),
        (r"down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{3 * int(m[1]) + 3}.0.op"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"output_blocks.{3 * int(m[1]) + int(m[2])}.0"),
        (r"up_blocks\.(\d)\.attentions\.(\d)", lambda m: f"output_blocks.{3 * int(m[1]) + int(m[2])}.1"),
        (
            r"up_blocks\.(\d)\.upsamplers\.0\.conv",
            lambda m: f"output_blocks.{3 * int(m[1]) + 2}.{2 if sdxl or m[1] != '0' else 1}.conv",
        ),
        (r"mid_block\.attentions\.0", lambda m: "middle_block.1"),
        (r"mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}"),
    )
    for pattern, theirs in rules:
        name = re.sub(pattern, theirs, name)
    return f"model.diffusion_model.{name}"


def vae_name(name: str, blocks: int) -> str:
    """Return CompVis's name of a tensor of diffusers' VAE."""
    rules = (
        (r"conv_norm_out", lambda m: "norm_out"),
        (r"conv_shortcut", lambda m: "nin_shortcut"),
        (r"down_blocks\.(\d)\.resnets\.(\d)", lambda m: f"down.{m[1]}.block.{m[2]}"),
        (r"down_blocks\.(\d)\.downsamplers\.0", lambda m: f"down.{m[1]}.downsample"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{blocks - 1 - int(m[1])}.block.{m[2]}"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample"),
        (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
        (r"mid_block\.attentions\.0", lambda m: "mid.attn_1"),
        (r"group_norm", lambda m: "norm"),
        (r"to_out\.0", lambda m: "proj_out"),
        (r"to_([qkv])", lambda m: m[1]),
    )
    for pattern, theirs in rules:
        name = re.sub(pattern, theirs, name)
    return f"first_stage_model.{name}"


def write_checkpoint(
    path: Path, unet: nn.Module, vae: nn.Module, text_encoder: nn.Module, blocks: int
) -> None:
    """Write the three parts into one file."""
    tensors = {unet_name(name): tensor for name, tensor in unet.state_dict().items()}
    tensors |= _vae_tensors(vae, blocks)
    for name, tensor in text_encoder.state_dict().items():
        inner = name.removeprefix("text_model.")
        tensors[f"cond_stage_model.transformer.text_model.{inner}"] = tensor
    _save(tensors, path)


def _vae_tensors(vae: nn.Module, blocks: int) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, tensor in vae.state_dict().items():
        attention = re.search(r"attentions\.0\.to_(q|k|v|out\.0)\.weight", name)
        tensors[vae_name(name, blocks)] = tensor[:, :, None, None] if attention else tensor
    return tensors


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous().half() for name, tensor in tensors.items()}, path)


def small_sd15(folder: Path, configs: Path) -> tuple[Path, Path]:
    """Make a checkpoint with SD1.5's structure, far fewer channels and random weights.

    Args:
        folder: where to write.
        configs: the configurations of the full-size model.

    Returns:
        The checkpoint, and a copy of the configurations that fits it.
    """
    small = folder / "configs"
    shutil.copytree(configs, small)
    _change(
        small / "unet" / "config.json",
        block_out_channels=[32, 32, 64, 64],
        cross_attention_dim=32,
        sample_size=8,
    )
    _change(small / "vae" / "config.json", block_out_channels=[32, 32, 32, 32])
    _change(
        small / "text_encoder" / "config.json", hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=32,
    )  # fmt: skip
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(json.loads((small / "unet" / "config.json").read_text()))
    vae = AutoencoderKL.from_config(json.loads((small / "vae" / "config.json").read_text()))
    text_encoder = CLIPTextModel(
        CLIPTextConfig(**json.loads((small / "text_encoder" / "config.json").read_text()))
    )
    write_checkpoint(folder / "small.safetensors", unet, vae, text_encoder, blocks=4)
    return folder / "small.safetensors", small


def second_text_encoder(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of SDXL's second text encoder under OpenCLIP's names, with q, k and v in one tensor."""
    tensors: dict[str, torch.Tensor] = {}
    state = model.state_dict()
    rules = (
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.final_layer_norm", "ln_final"),
        ("text_model.encoder.layers", "transformer.resblocks"),
        ("layer_norm", "ln_"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
        ("self_attn.out_proj", "attn.out_proj"),
    )
    for name, tensor in state.items():
        if ".q_proj." in name:
            joined = torch.cat([state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"])
            name, tensor = re.sub(r"self_attn\.q_proj\.(\w+)", r"attn.in_proj_\1", name), joined
        elif ".k_proj." in name or ".v_proj." in name:
            continue
        elif name == "text_projection.weight":
            name, tensor = "text_projection", tensor.T
        for ours, theirs in rules:
            name = name.replace(ours, theirs)
        tensors[f"conditioner.embedders.1.model.{name}"] = tensor
    return tensors


def small_sdxl(folder: Path, configs: Path, *marks: str) -> tuple[Path, Path]:
    """Make a checkpoint with SDXL's structure, far fewer channels and layers, and random weights.

    Args:
        folder: where to write.
        configs: all shipped configurations, of the full-size models.
        marks: names of further tensors, such as `v_pred`.

    Returns:
        The checkpoint, and a copy of the configurations that fits it.
    """
    small = folder / "configs"
    shutil.copytree(configs, small)
    sdxl = small / "sdxl"
    _change(
        sdxl / "unet" / "config.json",
        block_out_channels=[32, 64, 64],
        attention_head_dim=[1, 2, 2],
        transformer_layers_per_block=[1, 1, 2],
        cross_attention_dim=32 + 64,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64 + 6 * 8,
        sample_size=8,
    )
    _change(sdxl / "vae" / "config.json", block_out_channels=[32, 32, 32, 32])
    for name, width, layers in (("text_encoder", 32, 2), ("text_encoder_2", 64, 3)):
        _change(
            sdxl / name / "config.json", hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
            num_attention_heads=2, projection_dim=width,
        )  # fmt: skip
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(_read(sdxl / "unet"))
    vae = AutoencoderKL.from_config(_read(sdxl / "vae"))
    first = CLIPTextModel(CLIPTextConfig(**_read(sdxl / "text_encoder")))
    second = CLIPTextModelWithProjection(CLIPTextConfig(**_read(sdxl / "text_encoder_2")))
    tensors = {unet_name(name, sdxl=True): tensor for name, tensor in unet.state_dict().items()}
    tensors |= _vae_tensors(vae, blocks=4)
    for name, tensor in first.state_dict().items():
        inner = name.removeprefix("text_model.")
        tensors[f"conditioner.embedders.0.transformer.text_model.{inner}"] = tensor
    tensors |= second_text_encoder(second) | {mark: torch.zeros(0) for mark in marks}
    _save(tensors, folder / "small-xl.safetensors")
    return folder / "small-xl.safetensors", small


def _read(folder: Path) -> dict[str, object]:
    return json.loads((folder / "config.json").read_text())


def _change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
