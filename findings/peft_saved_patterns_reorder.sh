#!/usr/bin/env bash
# PEFT: the first matching key of `alpha_pattern` wins, and saving sorts the keys, so a reload can change alpha.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0. Seen on 2026-11-28.
#
# Both keys of {"to_q": 16, "attn1.to_q": 2} match the module `attn1.to_q`. PEFT takes the first one in the
# order of the dict: neither the most specific nor the last. `save_pretrained` writes adapter_config.json with
# sorted keys, which puts "attn1.to_q" first. The reloaded adapter then scales that layer by 2/r, where it was
# trained with 16/r, and the model's output differs. The tensors in the file are the same, and nothing warns.
#
# Expected by a reader: the more specific key decides, and a saved adapter computes what it computed before.
# Output seen:
#   {'attn1.to_q': 2, 'to_q': 16}: alpha {'attn1': 2, 'attn2': 16}, after reload {'attn1': 2, 'attn2': 16}, same output: True
#   {'to_q': 16, 'attn1.to_q': 2}: alpha {'attn1': 16, 'attn2': 16}, after reload {'attn1': 2, 'attn2': 16}, same output: False

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 transformers==5.23.0 accelerate==1.15.0 peft==0.21.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q = nn.Linear(8, 8)

    def forward(self, x):
        return self.to_q(x)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn1 = Attention()
        self.attn2 = Attention()

    def forward(self, x):
        return self.attn1(x) + self.attn2(x)


def alphas(model):
    modules = model.base_model.model
    return {name: getattr(modules, name).to_q.lora_alpha["default"] for name in ("attn1", "attn2")}


def fresh_block():
    torch.manual_seed(0)
    return Block()


still_there = True
for patterns, before, after in (
    ({"attn1.to_q": 2, "to_q": 16}, 2, 2),
    ({"to_q": 16, "attn1.to_q": 2}, 16, 2),
):
    config = LoraConfig(r=4, target_modules=["to_q"], alpha_pattern=dict(patterns), init_lora_weights=False)
    trained = get_peft_model(fresh_block(), config)
    trained.save_pretrained("adapter")
    reloaded = PeftModel.from_pretrained(fresh_block(), "adapter")
    with torch.no_grad():
        x = torch.ones(1, 8)
        same = torch.allclose(trained(x), reloaded(x))
    print(f"{patterns}: alpha {alphas(trained)}, after reload {alphas(reloaded)}, same output: {same}")
    still_there &= alphas(trained) == {"attn1": before, "attn2": 16}
    still_there &= alphas(reloaded) == {"attn1": after, "attn2": 16}
    still_there &= same == (before == after)
raise SystemExit(0 if still_there else 1)
PY
