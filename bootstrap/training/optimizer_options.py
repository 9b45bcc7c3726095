"""The options of optimizers that project.toml does not have."""

from typing import Any

WEIGHT_DECAY = 0.01  # torch's and kohya's default for AdamW
# The settings that its authors recommend for diffusion models.
PRODIGY: dict[str, Any] = {
    "weight_decay": WEIGHT_DECAY,
    "use_bias_correction": True,
    "safeguard_warmup": True,
}
