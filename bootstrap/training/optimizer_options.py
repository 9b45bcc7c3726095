"""The options of optimizers that project.toml does not have."""

from typing import Any

WEIGHT_DECAY = 0.01  # torch's and kohya's default for AdamW
# Of the settings that its authors recommend for diffusion models, all but two: with a first estimate d0 of 1e-6 and
# safeguard_warmup, d does not grow before the method's training is nearly over (benchmarks/results/optimizers.md).
PRODIGY: dict[str, Any] = {"weight_decay": WEIGHT_DECAY, "use_bias_correction": True, "d0": 1e-4}
