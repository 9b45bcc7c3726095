"""Flushing denormal numbers to zero while a model computes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def as_zero() -> Iterator[None]:
    """Flush numbers below 1e-38 to zero in this thread, within a `with` block or a decorated function.

    The tails of GELU and of softmax are full of such numbers, and a CPU multiplies them at a tenth of its usual rate: a
    training step of Paper Town takes a quarter less time without them. torch's own threads start when a thread first
    needs them and keep the mode that they were started with, so a model is loaded within such a block too.
    """
    half = 0.5
    was_flushing = sys.float_info.min * half == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was_flushing)
