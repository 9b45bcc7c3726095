"""A stand-in for the recorder of CUDA graphs, for machines without a GPU."""

from collections.abc import Callable

import torch
from torch import nn

from bootstrap.training.passes import Recording


class StandIn:
    """Repeat what was recorded, into the same memory, as a CUDA graph does."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self.recorded = 0

    def __call__(self, once: Callable[[], torch.Tensor]) -> Recording:
        self.recorded += 1
        loss = once()
        gradients = [parameter.grad for parameter in self._parameters]

        def replay() -> None:
            loss.copy_(once())
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                if gradient is not None and parameter.grad is not None:
                    gradient.copy_(parameter.grad)
                parameter.grad = gradient

        return Recording(replay, loss)
