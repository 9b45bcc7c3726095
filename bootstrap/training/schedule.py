"""Which pictures each step sees, and at which learning rate: known before the first step."""

import math
import random

from bootstrap.settings import TrainingSection
from bootstrap.training.identity import Example


def steps_per_epoch(examples: list[Example], batch_size: int) -> int:
    """kohya's: pictures x repeats / batch size, rounded up."""
    return math.ceil(sum(one.repeats for one in examples) / batch_size)


def epoch_batches(examples: list[Example], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return, for each step of an epoch (numbered from 1), the indices of the pictures in its batch.

    All repeats of all pictures in an order that depends on seed and epoch only; the last batch is filled
    up from the start of the order, so that every step has the same shape.
    """
    order = [index for index, one in enumerate(examples) for _ in range(one.repeats)]
    random.Random(f"{seed}/{epoch}").shuffle(order)
    missing = -len(order) % batch_size
    order += [order[i % len(order)] for i in range(missing)]
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def learning_rate_factor(settings: TrainingSection, step: int, total_steps: int) -> float:
    """Return what the learning rates are multiplied with at a step (numbered from 0), 0.0 to 1.0.

    The formulas are those of transformers' `get_scheduler` for constant_with_warmup, cosine and linear.
    """
    warmup = settings.lr_warmup_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.lr_scheduler == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total_steps - warmup)
    if settings.lr_scheduler == "linear":
        return max(0.0, 1.0 - progress)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
