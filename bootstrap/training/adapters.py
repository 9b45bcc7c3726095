"""The trainable LoRA inside a base model: injected, folded into the weights each step, read out, removed.

Modules of one shape share a stack of parameters, so that a step touches a few large tensors instead of hundreds
of small ones. Each module applies its LoRA in the cheaper of two ways:

- *folded*: `W + alpha/rank * up @ down` is computed once per step for the whole stack, and the module multiplies by
  that. The backward pass computes the gradient of all of W, which for small modules is less work than two thin
  products per position, and far fewer operations.
- *beside*: the usual way, two thin products beside the frozen one.

In half precision every LoRA is beside: early in training its delta is smaller than the rounding of W.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from bootstrap.lora.kohya import LoraModule
from bootstrap.lora.targets import targets_of
from bootstrap.models.family import BaseModel

Layer = nn.Linear | nn.Conv2d


class Stack:
    """The LoRA of modules of one shape: `down` (modules, rank, in) and `up` (modules, out, rank), float32."""

    def __init__(
        self, names: list[str], modules: list[Layer], down: torch.Tensor, alpha: float, fold: bool
    ) -> None:
        device, self._dtype = modules[0].weight.device, modules[0].weight.dtype
        rank, out = down.shape[1], modules[0].weight.shape[0]
        self.names, self.alpha = names, alpha
        self.scale = alpha / rank
        self.down = nn.Parameter(down.to(device))
        self.up = nn.Parameter(torch.zeros(len(names), out, rank, device=device))
        self._frozen: torch.Tensor | None = None
        if fold:
            self._frozen = torch.stack([module.weight.detach().flatten(1) for module in modules])
        self._now: list[tuple[torch.Tensor, ...]] = []
        self._shapes = [module.weight.shape for module in modules]

    @property
    def copied_bytes(self) -> int:
        """Return the memory of the second copy of the frozen weights, to fold into, in bytes."""
        return 0 if self._frozen is None else self._frozen.numel() * self._frozen.element_size()

    def fold(self) -> None:
        """Compute the weights that the modules multiply by, from the current parameters."""
        if self._frozen is not None:
            folded = torch.baddbmm(self._frozen, self.up, self.down, alpha=self.scale)
            self._now = [(weight,) for weight in folded.unbind()]
        else:
            down, up = self.down.to(self._dtype), (self.up * self.scale).to(self._dtype)
            self._now = list(zip(down.unbind(), up.unbind(), strict=True))

    def unfold(self) -> None:
        """Release the folded weights, and with them the autograd graph of their pass."""
        self._now = []

    def apply(self, index: int, module: Layer, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the module with its LoRA for `x`."""
        weights = self._now[index]
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            return self._convolve(weights, module, x)
        if isinstance(module, nn.Conv2d):  # 1 by 1: plain products are faster than convolutions
            flat = x.flatten(2)
            result = weights[0] @ flat
            if len(weights) == 2:
                result = module.weight.flatten(1) @ flat + weights[1] @ result
            if module.bias is not None:
                result = result + module.bias[:, None]
            return result.unflatten(2, x.shape[2:])
        if len(weights) == 1:
            return F.linear(x, weights[0], module.bias)
        frozen = module(x)
        thin = F.linear(x, weights[0]).flatten(0, -2)
        return torch.addmm(frozen.flatten(0, -2), thin, weights[1].T).view(frozen.shape)

    def _convolve(
        self, weights: tuple[torch.Tensor, ...], module: nn.Conv2d, x: torch.Tensor
    ) -> torch.Tensor:
        first_weight = weights[0].view(-1, *module.weight.shape[1:])  # the whole weight, or down
        if len(weights) == 1:
            return F.conv2d(x, first_weight, module.bias, module.stride, module.padding)
        thin = F.conv2d(x, first_weight, None, module.stride, module.padding)
        return module(x) + F.conv2d(thin, weights[1][:, :, None, None])

    def modules(self) -> dict[str, LoraModule]:
        """Return the current LoRA, by kohya's names."""
        return {
            name: LoraModule(
                down.detach().reshape(-1, *shape[1:]),
                up.detach().reshape(*up.shape, *(1 for _ in shape[2:])),
                self.alpha,
            )
            for name, down, up, shape in zip(self.names, self.down, self.up, self._shapes, strict=True)
        }


class _WithLora(nn.Module):
    """Replaces a module while its LoRA is trained."""

    def __init__(self, module: Layer, stack: Stack, index: int) -> None:
        super().__init__()
        self.module, self._stack, self._index = module, stack, index

    @property
    def weight(self) -> torch.Tensor:
        """Return the frozen weight: models read its type."""
        return self.module.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._stack.apply(self._index, self.module, x)


@dataclass(frozen=True)
class Adapters:
    """The LoRA in training."""

    of_denoiser: list[Stack]
    of_text_encoders: list[Stack]  # none when they are frozen

    @property
    def stacks(self) -> list[Stack]:
        """Return all stacks, the denoiser's first."""
        return self.of_denoiser + self.of_text_encoders

    def denoiser_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that unet_lr applies to."""
        return [parameter for stack in self.of_denoiser for parameter in (stack.down, stack.up)]

    def text_encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that text_encoder_lr applies to; none when they are frozen."""
        return [parameter for stack in self.of_text_encoders for parameter in (stack.down, stack.up)]

    def parameters(self) -> list[nn.Parameter]:
        """Return all parameters, in a fixed order: the denoiser's first."""
        return self.denoiser_parameters() + self.text_encoder_parameters()

    def fold(self) -> None:
        """Compute the weights that the modules multiply by, from the current parameters; call it before each pass."""
        for stack in self.stacks:
            stack.fold()

    def unfold(self) -> None:
        """Release what `fold` computed; call it after each pass.

        If kept until the next pass, it would keep the end of this pass's autograd graph, which belongs to this pass's
        CUDA stream; no CUDA graph can be recorded while another stream takes part.
        """
        for stack in self.stacks:
            stack.unfold()

    def modules(self) -> dict[str, LoraModule]:
        """Return the current LoRA, for a file, in the order of the base model's modules."""
        modules: dict[str, LoraModule] = {}
        for stack in self.stacks:
            modules |= stack.modules()
        return modules


@dataclass(frozen=True)
class Size:
    """Rank and alpha of a module's LoRA."""

    rank: int
    alpha: float


@contextmanager
def injected(
    base: BaseModel,
    size: Size,
    with_text_encoder: bool,
    seed: int,
    half_precision: bool = False,
    of_convolutions: Size | None = None,
) -> Iterator[Adapters]:
    """Put a fresh LoRA into the base model for the length of a `with` block.

    Down matrices are initialized as kohya's (Kaiming uniform, a = sqrt 5), up matrices as zeros.

    Args:
        size: network_dim and network_alpha.
        with_text_encoder: train the text encoders too.
        seed: seed of the initial values.
        half_precision: whether the forward pass runs in float16 or bfloat16.
        of_convolutions: conv_dim and conv_alpha; if given, a UNet's residual blocks are trained too, and their
            convolutions larger than 1 by 1 have this size.
    """
    parts = targets_of(base, of_convolutions is not None)
    parts = parts if with_text_encoder else parts[:1]
    generator = torch.Generator().manual_seed(seed)
    stacks: list[list[Stack]] = []  # of each part
    replaced: list[tuple[nn.Module, str, Layer]] = []
    for model, targets in parts:
        stacks.append([])
        by_shape: dict[tuple[int, ...], list[str]] = {}
        initial_down: dict[str, torch.Tensor] = {}
        for name, path in targets.items():
            weight = _layer(model, path).weight
            shape = weight.shape if _is_large(weight) else weight.shape[:2]  # 1 by 1 counts as linear
            by_shape.setdefault(tuple(shape), []).append(name)
            rank, width_in = _size(weight, size, of_convolutions).rank, weight.flatten(1).shape[1]
            initial_down[name] = torch.empty(rank, width_in).uniform_(
                -(width_in**-0.5), width_in**-0.5, generator=generator
            )
        for names in by_shape.values():
            modules = [_layer(model, targets[name]) for name in names]
            stack_size = _size(modules[0].weight, size, of_convolutions)
            width_out, width_in = modules[0].weight.flatten(1).shape
            fold = not half_precision and width_out * width_in < 3 * stack_size.rank * (width_out + width_in)
            stack = Stack(
                names, modules, torch.stack([initial_down[name] for name in names]), stack_size.alpha, fold
            )
            stacks[-1].append(stack)
            replaced += [(model, targets[name], module) for name, module in zip(names, modules, strict=True)]
            for index, (name, module) in enumerate(zip(names, modules, strict=True)):
                model.set_submodule(targets[name], _WithLora(module, stack, index))
    try:
        yield Adapters(stacks[0], [stack for of_encoder in stacks[1:] for stack in of_encoder])
    finally:
        for model, path, module in replaced:
            model.set_submodule(path, module)


def _size(weight: torch.Tensor, size: Size, of_convolutions: Size | None) -> Size:
    return of_convolutions if _is_large(weight) and of_convolutions is not None else size


def _is_large(weight: torch.Tensor) -> bool:
    return weight.dim() == 4 and weight.shape[2:] != (1, 1)


def _layer(model: nn.Module, path: str) -> Layer:
    return cast("Layer", model.get_submodule(path))
