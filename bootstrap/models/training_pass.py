"""The forward and backward pass of a training step: its inputs and results, and the check of a recorded one."""

from collections.abc import Callable

import torch
from torch import nn

Inputs = dict[str, torch.Tensor]
"""All that differs from step to step; the same names each time."""

Pass = Callable[[Inputs], torch.Tensor]
"""Adds to the parameters' gradients, and returns the loss without its graph."""

Results = tuple[torch.Tensor, *tuple[torch.Tensor | None, ...]]
"""The loss, and the gradient of each parameter, None where it has none."""

# A gradient far shorter than the others is mostly rounding itself; it counts as a tenth as long as their average.
_SHORT = 0.1


class DifferentError(RuntimeError):
    """A recorded pass does not compute what the plain one does."""


def compare(expected: Results, found: Results, tolerance: float) -> None:
    """Compare the results of a plain pass and of a recorded one.

    Args:
        tolerance: of the length of the loss and of each gradient.

    Raises:
        DifferentError: they differ by more than rounding.
    """
    lengths = [one.norm() for one in expected[1:] if one is not None]
    average = torch.stack(lengths).square().mean().sqrt() if lengths else 0.0
    shortest = [0.0, *[_SHORT * average] * (len(expected) - 1)]  # the loss is not one of them
    for one, other, least in zip(expected, found, shortest, strict=True):
        if one is None or other is None:
            if one is not other:
                raise DifferentError("it has other gradients than the plain pass")
        elif not (one - other).norm() <= tolerance * max(one.norm(), least):
            raise DifferentError("its result is not that of the plain pass")


def forget_gradients(parameters: list[nn.Parameter]) -> None:
    """Leave the parameters without gradients."""
    for parameter in parameters:
        parameter.grad = None
