#!/usr/bin/env bash
# diffusers: DPMSolverMultistepScheduler with Karras sigmas and zero terminal SNR raises IndexError from 21 steps.
#
# Versions: diffusers 0.42.1, torch 2.13.0. Seen on 2026-11-28.
#
# On the 1000-step scaled_linear schedule of Stable Diffusion 1.5, `rescale_betas_zero_snr=True` makes the
# largest sigma 4096, and the Karras spacing then puts several of the first steps so close together in time that
# they round to the same timestep, 999. The first `step` call looks that timestep up, takes the second of the
# equal entries, and starts one step late; the last call runs off the end of the sigmas. Up to 20 steps the
# timesteps at the start differ and all is well. Neither option alone fails. `set_begin_index(0)` before the
# first step avoids the error.
#
# Expected by a reader: every step count works, as with either option alone.
# Output seen (counts 1 to 60 were tried):
#   IndexError with Karras sigmas: none
#   IndexError with zero terminal SNR: none
#   IndexError with both: 40 counts, 21 to 60
#   IndexError with both and set_begin_index(0): none
#   first timesteps at 20 steps: [999, 998, 998]
#   first timesteps at 21 steps: [999, 999, 998]

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
"$work/venv/bin/python" - <<'PY'
import torch
from diffusers import DPMSolverMultistepScheduler

COUNTS = range(1, 61)


def scheduler_for(count, karras, zero_snr):
    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        use_karras_sigmas=karras,
        rescale_betas_zero_snr=zero_snr,
    )
    scheduler.set_timesteps(count)
    return scheduler


def failing_counts(karras, zero_snr, begin_index=None):
    failing = []
    for count in COUNTS:
        scheduler = scheduler_for(count, karras, zero_snr)
        if begin_index is not None:
            scheduler.set_begin_index(begin_index)
        sample = torch.zeros(1, 4, 8, 8)
        try:
            for timestep in scheduler.timesteps:
                sample = scheduler.step(torch.zeros_like(sample), timestep, sample).prev_sample
        except IndexError:
            failing.append(count)
    return failing


def shown(counts):
    return "none" if not counts else f"{len(counts)} counts, {counts[0]} to {counts[-1]}"


karras_only = failing_counts(karras=True, zero_snr=False)
zero_snr_only = failing_counts(karras=False, zero_snr=True)
both = failing_counts(karras=True, zero_snr=True)
both_from_0 = failing_counts(karras=True, zero_snr=True, begin_index=0)
print("IndexError with Karras sigmas:", shown(karras_only))
print("IndexError with zero terminal SNR:", shown(zero_snr_only))
print("IndexError with both:", shown(both))
print("IndexError with both and set_begin_index(0):", shown(both_from_0))
for count in (20, 21):
    print(f"first timesteps at {count} steps:", scheduler_for(count, True, True).timesteps[:3].tolist())
still_there = both == list(range(21, 61)) and not karras_only and not zero_snr_only and not both_from_0
raise SystemExit(0 if still_there else 1)
PY
