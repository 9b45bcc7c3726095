"""The forward and backward pass of a training step: types of its inputs and results, and the check of a recording."""

from collections.abc import Callable

import torch
from torch import nn

Inputs = dict[str, torch.Tensor]
"""Everything that differs from step to step; the names are the same in each step."""

Pass = Callable[[Inputs], torch.Tensor]
"""Accumulates into the parameters' gradients, and returns the loss, detached."""

Results = tuple[torch.Tensor, *tuple[torch.Tensor | None, ...]]
"""The loss, and the gradient of each parameter, None for one without."""

# A gradient with a norm far below the others' consists mostly of rounding errors. So its error is compared with at
# least a tenth of the root mean square of the norms.
_SHORT = 0.1


class DifferentError(RuntimeError):
    """A recorded pass computes something else than the eager one."""


def compare(expected: Results, actual: Results, tolerance: float) -> None:
    """Compare the results of an eager pass with those of a recorded one.

    Args:
        tolerance: allowed norm of the difference, relative to the norm of the loss or gradient.

    Raises:
        DifferentError: they differ by more than rounding.
    """
    norms = [gradient.norm() for gradient in expected[1:] if gradient is not None]
    average = torch.stack(norms).square().mean().sqrt() if norms else 0.0
    smallest_norms = [0.0, *[_SHORT * average] * (len(expected) - 1)]  # none for the loss
    for right, recorded, smallest in zip(expected, actual, smallest_norms, strict=True):
        if right is None or recorded is None:
            if right is not recorded:
                raise DifferentError("it has other gradients than the eager pass")
        elif not (right - recorded).norm() <= tolerance * max(right.norm(), smallest):
            raise DifferentError("its result differs from the eager pass's")


def forget_gradients(parameters: list[nn.Parameter]) -> None:
    """Set the parameters' gradients to None."""
    for parameter in parameters:
        parameter.grad = None
