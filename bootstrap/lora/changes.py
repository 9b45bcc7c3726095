"""Changes of a weight that are no product of two matrices: full differences, DoRA, GLoRA and (IA)^3.

Formulas: LyCORIS (lycoris/modules/full.py, norms.py, glora.py, ia3.py, functional/general.py), PEFT
(tuners/lora/dora.py), OneTrainer (modules/module/LoRAModule.py). DoRA's strength follows ComfyUI
(comfy/weight_adapter/base.py): `W + strength * (trained - W)`; LyCORIS keeps the whole product at any strength.
"""

import math
from dataclasses import dataclass

import torch

from bootstrap.lora.modules import LoraModule, Parts, fits


@dataclass(frozen=True)
class Difference:
    """A difference that is added: of a whole weight (`diff`), or of a norm's (`w_norm`)."""

    weight: torch.Tensor  # in the weight's shape
    is_norm: bool = False

    @property
    def kind(self) -> str:
        """See Change."""
        return "norm" if self.is_norm else "full difference"

    @property
    def parts(self) -> Parts:
        """See Change."""
        return {"w_norm" if self.is_norm else "diff": self.weight}

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """See Change."""
        return None if fits(tuple(self.weight.shape), shape) else str(tuple(self.weight.shape))

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """See Change."""
        return weight + strength * self.weight.to(weight.device).float().reshape(weight.shape)


@dataclass(frozen=True)
class Dora:
    """DoRA: the sum of weight and product, with the norm of each row or column set to a trained magnitude."""

    module: LoraModule
    magnitude: torch.Tensor  # (out, 1, ...) of the rows, or (1, in, ...) of the columns

    @property
    def kind(self) -> str:
        """See Change."""
        return "DoRA"

    @property
    def parts(self) -> Parts:
        """See Change."""
        module = self.module
        return {
            "lora_down.weight": module.down,
            "lora_up.weight": module.up,
            "alpha": torch.tensor(module.alpha),
            "dora_scale": self.magnitude,
        }

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """See Change."""
        if not fits(self.module.shape, shape):
            return str(self.module.shape)
        rows, columns, *others = self.magnitude.shape
        if (rows, columns) in ((shape[0], 1), (1, shape[1])) and all(side == 1 for side in others):
            return None
        return f"{self.module.shape} with magnitudes {tuple(self.magnitude.shape)}"

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """See Change."""
        full = weight + self.module.to(weight.device).delta().reshape(weight.shape)
        by_row = self.magnitude.shape[0] == weight.shape[0] and self.magnitude.shape[1] == 1
        axes = [axis for axis in range(weight.dim()) if axis != (0 if by_row else 1)]
        norm = torch.linalg.vector_norm(full, dim=axes, keepdim=True)
        magnitude = self.magnitude.to(weight.device).float().reshape(norm.shape)
        # A row of zeros has no direction that could be given a magnitude.
        trained = full * torch.where(norm > 0, magnitude / norm, torch.zeros_like(norm))
        return trained if strength == 1 else weight + strength * (trained - weight)


@dataclass(frozen=True)
class Glora:
    """GLoRA: `W + scale * (W a + b)`, with a and b of low rank; a works on the input channels."""

    a1: torch.Tensor  # (in, rank)
    a2: torch.Tensor  # (rank, in)
    b1: torch.Tensor  # (out, rank)
    b2: torch.Tensor  # (rank, in * k * k), flattened
    scale: float

    @property
    def kind(self) -> str:
        """See Change."""
        return "GLoRA"

    @property
    def parts(self) -> Parts:
        """See Change."""
        parts = {f"{name}.weight": getattr(self, name) for name in ("a1", "a2", "b1", "b2")}
        return parts | {"alpha": torch.tensor(self.scale * len(self.a2))}

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """See Change."""
        rank = len(self.a2)
        of_parts = [tuple(part.shape) for part in (self.a1, self.a2, self.b1, self.b2)]
        into, columns = shape[1] if len(shape) > 1 else 0, math.prod(shape[1:])
        wanted = [(into, rank), (rank, into), (shape[0], len(self.b2)), (len(self.b2), columns)]
        return None if of_parts == wanted else f"{of_parts[2][0]} x {of_parts[3][1]}, from {of_parts}"

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """See Change."""
        a1, a2, b1, b2 = (part.to(weight.device).float() for part in (self.a1, self.a2, self.b1, self.b2))
        rotated = torch.einsum("oi...,ir->or...", weight, a1)
        added = torch.einsum("or...,ri->oi...", rotated, a2) + (b1 @ b2).reshape(weight.shape)
        return weight + strength * self.scale * added


@dataclass(frozen=True)
class Ia3:
    """(IA)^3: each output channel, or each input channel, is multiplied by 1 + its number."""

    numbers: torch.Tensor  # (channels,)
    on_input: bool
    scales_bias: bool = False  # PEFT's, of output channels: the layer's bias is multiplied too

    @property
    def kind(self) -> str:
        """See Change."""
        return "(IA)^3"

    @property
    def parts(self) -> Parts:
        """See Change."""
        if self.scales_bias:
            return {"ia3_l": self.numbers[:, None] + 1}
        return {"weight": self.numbers, "on_input": torch.tensor(int(self.on_input))}

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """See Change."""
        if len(shape) > 1 and len(self.numbers) == shape[int(self.on_input)]:
            return None
        return f"{len(self.numbers)} {'input' if self.on_input else 'output'} channels"

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """See Change."""
        shape = [1] * weight.dim()
        shape[int(self.on_input)] = -1
        return weight * (1 + strength * self.numbers.to(weight.device).float().reshape(shape))
