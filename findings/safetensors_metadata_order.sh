#!/usr/bin/env bash
# safetensors: saving the same tensors and the same metadata twice gives two different files.
#
# Versions: safetensors 0.8.0, torch 2.13.0. Seen on 2026-11-28.
#
# A LoRA file in kohya's format has some forty entries of metadata. `save_file` and `save` write them in an order that
# differs from call to call, also within one process; the order of the dict that is passed does not matter. Tensors
# are always in the same order. So equal trainings give files with different SHA-256, and a file's hash says nothing
# about its content (kohya's `sshs_model_hash` leaves the header out). Without metadata the files are equal.
#
# Expected by a reader: bytes follow from the arguments, as for the tensors.
# Output seen:
#   without metadata: 1 different file in 40 saves
#   with metadata: 40 different files in 40 saves
#   tensors in the same order: True
#   the same metadata when read: True

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 safetensors==0.8.0 packaging
"$work/venv/bin/python" - <<'PY'
import json

import torch
from safetensors.torch import save

tensors = {f"lora_unet_block_{number}.lora_down.weight": torch.ones(4, 8) for number in range(6)}
metadata = {f"ss_setting_{number:02d}": str(number) for number in range(40)}


def header(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


plain = {save(tensors) for _ in range(40)}
saved = {save(tensors, metadata) for _ in range(40)}
headers = [header(content) for content in saved]
order = {tuple(name for name in each if name != "__metadata__") for each in headers}
print(f"without metadata: {len(plain)} different file in 40 saves")
print(f"with metadata: {len(saved)} different files in 40 saves")
print("tensors in the same order:", len(order) == 1)
print("the same metadata when read:", all(each["__metadata__"] == metadata for each in headers))
assert len(plain) == 1 and len(saved) > 20 and len(order) == 1
assert all(each["__metadata__"] == metadata for each in headers)
PY
echo "safetensors still writes metadata in an order of its own"
