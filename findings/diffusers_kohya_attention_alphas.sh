#!/usr/bin/env bash
# diffusers: every attention layer of a kohya LoRA file gets the most common alpha of the file.
#
# Versions: diffusers 0.42.1, peft 0.21.2, transformers 5.23.0, torch 2.13.0. Seen on 2026-11-28.
#
# A kohya file stores one `.alpha` per layer. When they differ, diffusers puts the less common ones into PEFT's
# `alpha_pattern`. For attention layers it writes them under keys such as
# `...attn1.processor.to_k_lora.down.weight`, which name no module of the UNet, so PEFT ignores them (with a
# RuntimeWarning) and the layers take the most common alpha. Feed-forward layers keep their own alpha. The
# effect of a layer is proportional to its alpha, so the file draws another picture than it was trained for.
#
# The UNet below has the layout of Stable Diffusion 1.5 with random weights and narrow layers.
#
# Expected by a reader: each layer gets the alpha that the file stores for it.
# Output seen:
#   to_q and to_v: alpha in the file [4.0], in the loaded UNet [4.0]
#   to_k: alpha in the file [1.0], in the loaded UNet [4.0]
#   ff.net.2: alpha in the file [1.0], in the loaded UNet [1.0]
#   weight change of one to_k, loaded over stored: 4.00

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 \
  accelerate==1.15.0 peft==0.21.2 safetensors==0.8.0
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from safetensors.torch import save_file

RANK = 4
COMMON, RARE = 4.0, 1.0

torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=8,
    block_out_channels=(32, 32, 32, 32),
    layers_per_block=1,
    attention_head_dim=2,
    norm_num_groups=8,
    cross_attention_dim=16,
)
queries_and_values = [name for name, _ in unet.named_modules() if name.endswith(("to_q", "to_v"))]
keys = [name for name, _ in unet.named_modules() if name.endswith("to_k")]
feed_forward = [name for name, _ in unet.named_modules() if name.endswith("ff.net.2")]
stored = dict.fromkeys(queries_and_values, COMMON) | dict.fromkeys(keys + feed_forward, RARE)

kohya = {}
for name, alpha in stored.items():
    layer = unet.get_submodule(name)
    kohya_name = "lora_unet_" + name.replace(".", "_")
    kohya[f"{kohya_name}.lora_down.weight"] = torch.randn(RANK, layer.in_features)
    kohya[f"{kohya_name}.lora_up.weight"] = torch.randn(layer.out_features, RANK)
    kohya[f"{kohya_name}.alpha"] = torch.tensor(alpha)
save_file(kohya, "lora.safetensors")

mixin = StableDiffusionLoraLoaderMixin
tensors, network_alphas = mixin.lora_state_dict("lora.safetensors", unet_config=unet.config)
mixin.load_lora_into_unet(tensors, network_alphas, unet, adapter_name="file")

loaded = {name: unet.get_submodule(name).lora_alpha["file"] for name in stored}


def summary(names):
    return sorted({stored[name] for name in names}), sorted({loaded[name] for name in names})


still_there = True
for title, names, wanted in (
    ("to_q and to_v", queries_and_values, ([COMMON], [COMMON])),
    ("to_k", keys, ([RARE], [COMMON])),
    ("ff.net.2", feed_forward, ([RARE], [RARE])),
):
    in_file, in_unet = summary(names)
    print(f"{title}: alpha in the file {in_file}, in the loaded UNet {in_unet}")
    still_there &= (in_file, in_unet) == wanted

name = keys[0]
layer = unet.get_submodule(name)
kohya_name = "lora_unet_" + name.replace(".", "_")
with torch.no_grad():
    by_file = RARE / RANK * kohya[f"{kohya_name}.lora_up.weight"] @ kohya[f"{kohya_name}.lora_down.weight"]
    ratio = (layer.get_delta_weight("file").norm() / by_file.norm()).item()
print(f"weight change of one to_k, loaded over stored: {ratio:.2f}")
still_there &= abs(ratio - COMMON / RARE) < 1e-3
raise SystemExit(0 if still_there else 1)
PY
