#!/usr/bin/env bash
# PEFT: an untrained OFT adapter on a 3x3 convolution changes the model's output; merging it does not.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0. Seen on 2026-11-28.
#
# OFT rotates a layer's input by a matrix that begins as the identity, so an adapter that is not trained yet should do
# nothing. For a convolution the input is unfolded into patches, each patch is rotated, and the patches are folded back
# into a picture. Folding adds up overlapping patches: with a 3x3 kernel, an inner pixel comes back nine times as large.
# The convolution then runs on that picture. `merge_adapter` rotates the weight instead and is right: merging an adapter
# changes what the model computes. A 1x1 convolution has no overlaps and agrees with itself.
#
# Expected by a reader: before training, output with adapter = output without; before and after merging the same.
# Output seen:
#   1x1 kernel: with adapter / without = 1.000, merged / without = 1.000
#   3x3 kernel: with adapter / without = 2.177, merged / without = 1.000

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 transformers==5.23.0 peft==0.21.2
"$work/venv/bin/python" - <<'PY'
import torch
from peft import OFTConfig, get_peft_model


def ratios(kernel):
    """Norms of the output with an untrained adapter, live and merged, divided by that without."""
    torch.manual_seed(0)
    network = torch.nn.Sequential()
    network.add_module("conv", torch.nn.Conv2d(8, 8, kernel, padding=kernel // 2))
    picture = torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        plain = network(picture).norm()
        model = get_peft_model(network, OFTConfig(r=0, oft_block_size=4, target_modules=["conv"])).eval()
        live = model(picture).norm()
        model.merge_adapter()
        merged = model(picture).norm()
    return (live / plain).item(), (merged / plain).item()


still_there = True
for kernel in (1, 3):
    live, merged = ratios(kernel)
    print(f"{kernel}x{kernel} kernel: with adapter / without = {live:.3f}, merged / without = {merged:.3f}")
    still_there &= abs(merged - 1) < 1e-3 and (abs(live - 1) < 1e-3) is (kernel == 1)
raise SystemExit(0 if still_there else 1)
PY
