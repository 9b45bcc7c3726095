"""Taking numbers that are all but zero for zero, where a model computes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def as_zero() -> Iterator[None]:
    """Take numbers below 1e-38 for zero in this thread, for the length of a `with` block or a decorated function.

    The tails of GELU and of softmax are full of them, and a CPU multiplies with them at a tenth of its rate: a
    training step of Paper Town takes a quarter less time without. torch's own threads, which are started when a
    thread first needs them, keep what they were started with, so a model is loaded within such a block too.
    """
    half = 0.5
    was = sys.float_info.min * half == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was)
