"""The optimizers that a LoRA can be trained with."""

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import nn

from bootstrap.errors import UserError
from bootstrap.project.settings import TrainingSection
from bootstrap.training.optimizer_options import PRODIGY, WEIGHT_DECAY


def check(settings: TrainingSection) -> None:
    """Check that this machine has the optimizer, without importing it.

    Raises:
        UserError: its package is not installed, or it needs a GPU.
    """
    if settings.optimizer == "AdamW8bit":
        if find_spec("bitsandbytes") is None:
            raise UserError(
                'training.optimizer "AdamW8bit": bitsandbytes is not installed; run '
                '`pip install bitsandbytes`, or set optimizer = "AdamW"'
            )
        if not torch.cuda.is_available():
            raise UserError('training.optimizer "AdamW8bit": it needs a GPU; set optimizer = "AdamW"')
    if settings.optimizer == "Prodigy" and find_spec("prodigyopt") is None:
        raise UserError(
            'training.optimizer "Prodigy": its package is not installed; run '
            "`pip install 'sid-bootstrap[prodigy]'`, or set optimizer = \"AdamW\""
        )


def make_optimizer(
    settings: TrainingSection, unet: Sequence[nn.Parameter], text_encoder: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the optimizer of a training; each parameter group stores its full learning rate as `full_lr`."""
    groups = [
        {"params": list(parameters), "lr": lr, "full_lr": lr}
        for parameters, lr in ((unet, settings.unet_lr), (text_encoder, settings.text_encoder_lr))
        if parameters
    ]
    if settings.optimizer == "AdamW8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(groups, weight_decay=WEIGHT_DECAY)
    if settings.optimizer == "Prodigy":
        from prodigyopt import Prodigy

        with contextlib.redirect_stdout(None):  # it prints a line
            return Prodigy(groups, **PRODIGY)
    return torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
