#!/usr/bin/env bash
# diffusers: guidance_scale=1.0 already guides in ZImagePipeline; its scale counts from 0, not from 1.
#
# Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.13.0. Seen on 2026-11-28.
#
# In Stable Diffusion's pipelines, in FLUX.2 klein's, in AUTOMATIC1111 and in ComfyUI the guided prediction is
# negative + scale * (positive - negative), so that a scale of 1 is the positive prediction alone. ZImagePipeline
# computes positive + scale * (positive - negative), and guides at any scale above 0, though its docstring says
# that guidance is enabled by a scale above 1. So its 1.0 is the others' 2.0, and a negative prompt, which its
# docstring says is ignored below 1, acts from the smallest scale on.
#
# The model below has Z-Image's architecture with random weights.
#
# Expected by a reader: at a guidance_scale of 1.0 the negative prompt has no effect.
# Output seen:
#   guidance_scale 0.0: two negative prompts give latents that differ by 0.0000
#   guidance_scale 0.5: two negative prompts give latents that differ by 0.0685
#   guidance_scale 1.0: two negative prompts give latents that differ by 0.1370
#   scale 1.0 against negative + 2 * (positive - negative): 0.0000

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 \
  accelerate==1.15.0 safetensors==0.8.0
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel

torch.manual_seed(0)
WIDTH = 16
transformer = ZImageTransformer2DModel(
    in_channels=4, dim=24, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
    axes_dims=[4, 4, 4], axes_lens=[256, 64, 64],
)
vae = AutoencoderKL(
    block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
    up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
)
pipeline = ZImagePipeline(FlowMatchEulerDiscreteScheduler(shift=3.0), vae, None, None, transformer.eval())
pipeline.set_progress_bar_config(disable=True)

prompt, first, second = (torch.randn(20, WIDTH) for _ in range(3))
noise = torch.randn(1, 4, 16, 16)


def drawn(scale, negative):
    return pipeline(
        prompt_embeds=[prompt], negative_prompt_embeds=[negative], guidance_scale=scale, height=32, width=32,
        num_inference_steps=1, latents=noise.clone(), output_type="latent",
    ).images


differences = []
for scale in (0.0, 0.5, 1.0):
    difference = (drawn(scale, first) - drawn(scale, second)).abs().mean().item()
    differences.append(difference)
    print(f"guidance_scale {scale}: two negative prompts give latents that differ by {difference:.4f}")

with torch.no_grad():
    rows = transformer([noise[0][:, None]] * 2, torch.zeros(2), [prompt, first], return_dict=False)[0]
positive, negative = (-row.squeeze(1)[None] for row in rows)
usual = noise - (negative + 2.0 * (positive - negative))  # one step from noise to the picture
apart = (drawn(1.0, first) - usual).abs().max().item()
print(f"scale 1.0 against negative + 2 * (positive - negative): {apart:.4f}")
same = differences[0] == 0.0 and differences[1] > 1e-4 and differences[2] > 1e-4 and apart < 1e-4
raise SystemExit(0 if same else 1)
PY
