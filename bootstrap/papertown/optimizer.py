"""The optimizer that Paper Town's models are made with: Muon for matrices, AdamW for the rest.

On two cores every sample is dear, and Muon (momentum whose update is made orthogonal, Jordan et al. 2024)
needs far fewer of them than AdamW here: docs/papertown.md has the figures. Convolutions count as matrices of
(out, in * kernel). Matrices of one shape are stacked and updated together, which keeps a GPU busy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Coefficients of the quintic Newton-Schulz iteration, as published with Muon.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, each matrix's update made orthogonal. All parameters need two or more dimensions."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # closures are for optimizers that try out steps
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append((parameter, parameter.grad))
            for shape, pairs in by_shape.items():
                self._step_together(pairs, shape, group["lr"], group["momentum"])

    def _step_together(
        self, pairs: list[tuple[Tensor, Tensor]], shape: torch.Size, lr: float, momentum: float
    ) -> None:
        parameters, gradients = [list(column) for column in zip(*pairs, strict=True)]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        looks_ahead = torch.stack(torch._foreach_lerp(gradients, momenta, momentum)).flatten(2)
        rows, columns = looks_ahead.shape[1:]
        updates = orthogonal(looks_ahead).reshape(-1, *shape)
        size = lr * max(1.0, rows / columns) ** 0.5
        torch._foreach_add_(parameters, list(updates.unbind()), alpha=-size)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices, roughly: singular values end between 0.7 and 1.2.

    `matrices` is (n, rows, columns), float32; so is the answer. Works in bfloat16, which is enough for it.
    """
    a, b, c = NEWTON_SCHULZ
    x = (matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


def optimizers(modules: Iterable[nn.Module], muon_lr: float, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner matrices of `modules`, AdamW for vectors, embeddings and the outermost convolutions.

    Embeddings and the layers that read or write latents or pixels have rows that mean something by
    themselves, which an orthogonal update does not respect.
    """
    inner: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in modules:
        embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        for name, parameter in module.named_parameters():
            outermost = name.endswith(("conv_in.weight", "conv_out.weight")) or id(parameter) in embeddings
            (rest if parameter.ndim < 2 or outermost else inner).append(parameter)
    return [
        Muon(inner, lr=muon_lr),
        torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.99), weight_decay=0.0),
    ]
