#!/usr/bin/env bash
# diffusers: a Z-Image LoRA in ComfyUI's own names loses its attention; only a warning of PEFT's says so.
#
# Versions: diffusers 0.42.1, peft 0.21.2, transformers 5.23.0, torch 2.13.0. Seen on 2026-11-28.
#
# ComfyUI's checkpoints of Z-Image have one fused layer `attention.qkv` where diffusers has to_q, to_k and to_v, and
# `attention.out` where it has to_out.0. Trainers that follow ComfyUI name a LoRA's matrices
# `diffusion_model.layers.0.attention.qkv.lora_A.weight`. load_lora_weights takes such a file without an error, puts
# the feed-forward's matrices to use and leaves the attention's out. The same LoRA in kohya's names
# (`lora_unet_layers_0_attention_qkv.lora_down.weight`) is split rightly.
#
# The model below has Z-Image's architecture with random weights.
#
# Expected by a reader: both files change the same layers.
# Output seen:
#   kohya's names: the LoRA is in ['attention.to_k', 'attention.to_out.0', 'attention.to_q', 'attention.to_v', 'feed_forward.w1']
#   ComfyUI's names: the LoRA is in ['feed_forward.w1']

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 \
  accelerate==1.15.0 peft==0.21.2 safetensors==0.8.0
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import logging

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

logging.disable(logging.WARNING)
torch.manual_seed(0)
RANK, WIDTH = 2, 24


def pipeline():
    transformer = ZImageTransformer2DModel(
        in_channels=4, dim=WIDTH, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16,
        axes_dims=[4, 4, 4], axes_lens=[256, 64, 64],
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
    )
    return ZImagePipeline(FlowMatchEulerDiscreteScheduler(), vae, None, None, transformer)


hidden = int(WIDTH / 3 * 8)
sizes = {"attention.qkv": (WIDTH, 3 * WIDTH), "attention.out": (WIDTH, WIDTH), "feed_forward.w1": (WIDTH, hidden)}
kohya, comfyui = {}, {}
for name, (width_in, width_out) in sizes.items():
    down, up = torch.randn(RANK, width_in), torch.randn(width_out, RANK)
    stem = f"lora_unet_layers_0_{name.replace('.', '_')}"
    kohya |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(2.0)}
    stem = f"diffusion_model.layers.0.{name}"
    comfyui |= {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}


def changed(tensors):
    loaded = pipeline()
    loaded.load_lora_weights(dict(tensors), adapter_name="file")
    found = {
        path.removeprefix("layers.0.").removesuffix(".lora_B.file")
        for path, module in loaded.transformer.named_modules()
        if path.endswith("lora_B.file") and module.weight.abs().sum() > 0
    }
    return sorted(found)


of_kohya, of_comfyui = changed(kohya), changed(comfyui)
print(f"kohya's names: the LoRA is in {of_kohya}")
print(f"ComfyUI's names: the LoRA is in {of_comfyui}")
attention = ["attention.to_k", "attention.to_out.0", "attention.to_q", "attention.to_v"]
raise SystemExit(0 if of_kohya == [*attention, "feed_forward.w1"] and of_comfyui == ["feed_forward.w1"] else 1)
PY
