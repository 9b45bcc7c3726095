#!/usr/bin/env bash
# LyCORIS: merging a LoHa or LoKr module applies alpha/dim twice, its forward pass applies it once.
#
# Versions: lycoris-lora 4.1.3, torch 2.13.0. Seen on 2026-11-28.
#
# `get_weight` of LohaModule and LokrModule returns a weight that already carries alpha/dim, and
# `get_diff_weight` multiplies it by alpha/dim again. `merge_to` is built on `get_diff_weight`. A module with
# dim 2 and alpha 0.5 therefore changes a layer by a quarter as much after `merge_to` as it does while it is
# applied. LoCon (the plain LoRA module) agrees with itself, and so does any module with alpha equal to dim.
#
# Expected by a reader: merged and live effect are equal.
# Output seen:
#   LoConModule dim 2 alpha 0.5: merged / live = 1.000
#   LoConModule dim 2 alpha 1.0: merged / live = 1.000
#   LoConModule dim 2 alpha 2.0: merged / live = 1.000
#   LohaModule dim 2 alpha 0.5: merged / live = 0.250
#   LohaModule dim 2 alpha 1.0: merged / live = 0.500
#   LohaModule dim 2 alpha 2.0: merged / live = 1.000
#   LokrModule dim 2 alpha 0.5: merged / live = 0.250
#   LokrModule dim 2 alpha 1.0: merged / live = 0.500
#   LokrModule dim 2 alpha 2.0: merged / live = 1.000

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 lycoris-lora==4.1.3
"$work/venv/bin/python" - <<'PY'
import torch
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule

DIM = 2
SIDE = 64


def merged_over_live(module_class, alpha):
    """Norm of the weight change after merge_to, divided by that of the applied module."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(SIDE, SIDE, bias=False)
    before = layer.weight.detach().clone()
    module = module_class("layer", layer, 1.0, lora_dim=DIM, alpha=alpha, factor=4)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.startswith(("lora_", "hada_", "lokr_")):
                parameter.normal_()
        module.apply_to()
        live = layer(torch.eye(SIDE)).T - before
        module.restore()
        module.merge_to()
        merged = layer.weight - before
    return (merged.norm() / live.norm()).item()


still_there = True
for module_class, counted in ((LoConModule, 0), (LohaModule, 1), (LokrModule, 1)):
    for alpha in (0.5, 1.0, 2.0):
        ratio = merged_over_live(module_class, alpha)
        print(f"{module_class.__name__} dim {DIM} alpha {alpha}: merged / live = {ratio:.3f}")
        still_there &= abs(ratio - (alpha / DIM) ** counted) < 1e-3
raise SystemExit(0 if still_there else 1)
PY
