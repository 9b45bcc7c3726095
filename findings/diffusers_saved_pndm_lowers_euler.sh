#!/usr/bin/env bash
# diffusers: saving and reloading a PNDM config lowers the first sigma of the Euler sampler made from it.
#
# Versions: diffusers 0.42.1, torch 2.13.0. Seen on 2026-11-28.
#
# A scheduler_config.json of Stable Diffusion 1.5's kind names PNDMScheduler and leaves `timestep_spacing` out.
# `EulerDiscreteScheduler.from_config` then takes Euler's own default, "linspace", and at 20 steps starts at
# sigma 14.61. `save_pretrained` writes PNDM's default, "leading", into the file. After a reload, the same call
# keeps "leading" and Euler starts at 11.03, so a model in a folder that diffusers itself has written is sampled
# on other noise levels.
#
# k-diffusion 0.1.1.post1, whose Euler sampler this is, starts at the sigma of the last training timestep,
# sqrt((1 - alphas_cumprod) / alphas_cumprod), at every step count. The script computes that value.
#
# Expected by a reader: saving and reloading changes nothing.
# Output seen:
#   sigma of the last training timestep: 14.61
#   Euler from the config without timestep_spacing: linspace 14.61
#   Euler from the same config saved by diffusers: leading 11.03

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import json
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, PNDMScheduler

STEPS = 20

Path("bare").mkdir()
Path("bare/scheduler_config.json").write_text(
    json.dumps(
        {
            "_class_name": "PNDMScheduler",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
        }
    )
)


def first_sigma(folder):
    euler = EulerDiscreteScheduler.from_config(PNDMScheduler.from_pretrained(folder).config)
    euler.set_timesteps(STEPS)
    return euler.config.timestep_spacing, round(euler.sigmas[0].item(), 2)


PNDMScheduler.from_pretrained("bare").save_pretrained("saved")
betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
alphas_cumprod = torch.cumprod(1 - betas, 0)[-1]
reference = round(torch.sqrt((1 - alphas_cumprod) / alphas_cumprod).item(), 2)
bare, saved = first_sigma("bare"), first_sigma("saved")
print("sigma of the last training timestep:", reference)
print("Euler from the config without timestep_spacing:", *bare)
print("Euler from the same config saved by diffusers:", *saved)
still_there = reference == 14.61 and bare == ("linspace", 14.61) and saved == ("leading", 11.03)
raise SystemExit(0 if still_there else 1)
PY
