"""The optimizers that Paper Town's models are trained with: Muon for matrices, AdamW for the rest.

Samples are expensive on two cores, and Muon (momentum with orthogonalized updates, Jordan et al. 2024) needs far
fewer of them here than AdamW: docs/papertown.md has the figures. Convolution weights are treated as matrices of
(out, in * kernel). Matrices of the same shape are stacked and updated together, which keeps a GPU busy.
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
    """Nesterov momentum with each matrix's update orthogonalized. Every parameter needs two or more dimensions.

    `weight_decay` is decoupled, as AdamW's: each step takes away `lr` times this share of the weights.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure: it is for optimizers that evaluate the loss again
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append((parameter, parameter.grad))
            if group["weight_decay"]:
                decayed = [parameter for pairs in by_shape.values() for parameter, _ in pairs]
                torch._foreach_mul_(decayed, 1 - group["lr"] * group["weight_decay"])
            for shape, pairs in by_shape.items():
                self._step_stacked(pairs, shape, group["lr"], group["momentum"])

    def _step_stacked(
        self, pairs: list[tuple[Tensor, Tensor]], shape: torch.Size, lr: float, momentum: float
    ) -> None:
        parameters, gradients = [list(column) for column in zip(*pairs, strict=True)]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        nesterov = torch.stack(torch._foreach_lerp(gradients, momenta, momentum)).flatten(2)
        rows, columns = nesterov.shape[1:]
        updates = orthogonal(nesterov).reshape(-1, *shape)
        step_size = lr * max(1.0, rows / columns) ** 0.5
        torch._foreach_add_(parameters, list(updates.unbind()), alpha=-step_size)


def orthogonal(matrices: Tensor) -> Tensor:
    """Return approximately the nearest (semi-)orthogonal matrices: singular values end between 0.7 and 1.2.

    `matrices` and the result are (n, rows, columns), float32. The iteration runs in bfloat16, which is precise
    enough.
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


# Layers that read or write latents, pixels or noise levels, or modulate by the noise level.
OUTERMOST = (
    "conv_in.weight", "conv_out.weight", "all_x_embedder.2-1.weight", "all_final_layer.2-1.linear.weight",
    "t_embedder.mlp.0.weight", "adaLN_modulation.0.weight", "adaLN_modulation.1.weight",
)  # fmt: skip


def optimizers(
    modules: Iterable[nn.Module], muon_lr: float, adam_lr: float, weight_decay: float = 0.0
) -> list[torch.optim.Optimizer]:
    """Return Muon for the inner matrices of `modules`, AdamW for vectors, embeddings and the outermost layers.

    In embeddings and in the layers that read or write latents or pixels, each row has a meaning of its own, which
    an orthogonal update would ignore.
    """
    inner: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in modules:
        embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        for name, parameter in module.named_parameters():
            outermost = name.endswith(OUTERMOST) or id(parameter) in embeddings
            (rest if parameter.ndim < 2 or outermost else inner).append(parameter)
    return [
        Muon(inner, lr=muon_lr, weight_decay=weight_decay),
        torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.99), weight_decay=0.0),
    ]
