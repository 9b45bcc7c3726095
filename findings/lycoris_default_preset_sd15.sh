#!/usr/bin/env bash
# LyCORIS: its default preset cannot be made for a Stable Diffusion 1.5 UNet: it finds the time embedding twice.
#
# Versions: lycoris-lora 4.1.3, diffusers 0.42.1, torch 2.13.0. Seen on 2026-11-28.
#
# `create_network` without a preset takes "full". That preset targets classes of modules, and since it knows Anima
# `TimestepEmbedding` is one of them; it also targets `time_embedding.linear_1` and `time_embedding.linear_2` by name,
# for Stable Diffusion. Its UNet has a `TimestepEmbedding` of that name, so both layers are made twice, and the check
# that no name is there twice ends the training before it begins. Without the class, the network has both layers once.
#
# Expected by a reader: the default preset works with the model that it was first written for.
# Output seen:
#   preset full: AssertionError: duplicated lora name: lora_unet_time_embedding_linear_1
#   preset full without TimestepEmbedding: 82 modules

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.23.0 lycoris-lora==4.1.3
"$work/venv/bin/python" - 2>/dev/null <<'PY'
import logging

from diffusers import UNet2DConditionModel
from lycoris import kohya
from lycoris.config import PRESET

logging.disable(logging.WARNING)
unet = UNet2DConditionModel(
    sample_size=8,
    block_out_channels=(32, 32),
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=16,
    attention_head_dim=4,
    layers_per_block=1,
)


def made(what):
    """Make a network with the default preset; return whether that works."""
    try:
        network = kohya.create_network(1.0, 4, 1.0, None, [], unet)
    except AssertionError as error:
        print(f"{what}: AssertionError: {error}")
        return False
    print(f"{what}: {len(network.loras)} modules")
    return True


whole = made("preset full")
PRESET["full"]["unet_target_module"].remove("TimestepEmbedding")
without = made("preset full without TimestepEmbedding")
raise SystemExit(0 if without and not whole else 1)
PY
