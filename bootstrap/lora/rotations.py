"""OFT and BOFT: a weight multiplied by rotations of blocks of its channels.

Formulas: LyCORIS (lycoris/modules/diag_oft.py, boft.py), sd-scripts (networks/oft.py), PEFT (tuners/oft/layer.py) and
OneTrainer (modules/module/oft_utils.py).
"""

import math
from dataclasses import dataclass

import torch

from bootstrap.lora.modules import Parts

NEUMANN_TERMS = 5  # of PEFT's and OneTrainer's approximation, by default


def _rotations(skew: torch.Tensor) -> torch.Tensor:
    """Return Cayley's rotations (I + Q) (I - Q)^-1 of skew-symmetric matrices (..., block, block)."""
    eye = torch.eye(skew.shape[-1], device=skew.device)
    return (eye + skew) @ torch.linalg.inv(eye - skew)


@dataclass(frozen=True)
class OutputRotation:
    """LyCORIS' and kohya's OFT (one stage) and BOFT (several): rotations of blocks of output channels."""

    blocks: torch.Tensor  # (blocks, size, size), or (stages, blocks, size, size) for BOFT
    constraint: float  # times the output channels: the largest norm of all skew matrices; 0: none
    rescale: torch.Tensor | None  # (out, 1, ...), a factor of each output channel

    @property
    def kind(self) -> str:
        """See Change."""
        return "OFT" if self.blocks.dim() == 3 else "BOFT"

    @property
    def parts(self) -> Parts:
        """See Change."""
        parts = {"oft_blocks": self.blocks, "alpha": torch.tensor(self.constraint)}
        return parts if self.rescale is None else parts | {"rescale": self.rescale}

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """See Change."""
        *stages, count, size, other = self.blocks.shape
        fits = size == other and count * size == shape[0] and len(shape) > 1
        if stages:  # stage i takes channels in pairs of groups of 2^i * size / 2
            farthest = 2 ** (stages[0] - 1) * (size // 2) * 2 if 0 < stages[0] < 31 else 0
            fits = fits and size % 2 == 0 and farthest > 0 and shape[0] % farthest == 0
        if self.rescale is not None:
            fits = fits and self.rescale.numel() == shape[0]
        return None if fits else f"{count * size} output channels in blocks {tuple(self.blocks.shape)}"

    def _turned(self, device: torch.device) -> torch.Tensor:
        blocks = self.blocks.to(device).float()
        skew = blocks - blocks.transpose(-1, -2)
        most = self.constraint * blocks.shape[-3] * blocks.shape[-1]
        if self.constraint > 0:
            norm = skew.norm() + 1e-8
            skew = torch.where(norm > most, skew * most / norm, skew)
        return _rotations(skew)

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """See Change; BOFT's stages are each taken a part of the way, as LyCORIS and AUTOMATIC1111 do."""
        rotations = self._turned(weight.device)
        factor = torch.ones(1)
        if self.rescale is not None:
            factor = self.rescale.float().reshape(-1, *[1] * (weight.dim() - 1))
        factor = factor.to(weight.device)
        if rotations.dim() == 4:
            return self._in_stages(weight, rotations, strength) * (1 + strength * (factor - 1))
        blocks = weight.reshape(len(rotations), -1, *weight.shape[1:])
        turned = torch.einsum("knm,kn...->km...", rotations, blocks).reshape(weight.shape)
        return weight + strength * (factor * turned - weight)

    @staticmethod
    def _in_stages(weight: torch.Tensor, rotations: torch.Tensor, strength: float) -> torch.Tensor:
        size = rotations.shape[-1]
        eye = torch.eye(size, device=weight.device)
        turned = weight.flatten(1)
        for stage, rotation in enumerate(rotations):
            group = 2**stage * (size // 2)
            partial = strength * rotation + (1 - strength) * eye
            paired = turned.unflatten(0, (-1, 2, group)).transpose(1, 2).flatten(0, 2)
            paired = torch.einsum("bij,bjc->bic", partial, paired.unflatten(0, (-1, size))).flatten(0, 1)
            turned = paired.unflatten(0, (-1, group, 2)).transpose(1, 2).flatten(0, 2)
        return turned.reshape(weight.shape)


@dataclass(frozen=True)
class InputRotation:
    """PEFT's and OneTrainer's OFT: rotations of blocks of input channels, by an approximation of Cayley's."""

    upper: torch.Tensor  # (blocks or 1, size * (size - 1) / 2), the skew matrices' upper triangles
    terms: int  # of Neumann's series; 0: the exact rotation
    is_scaled: bool  # OneTrainer's `scaled_oft`
    turns_back: bool  # W R^T, the rule of a linear layer; OneTrainer's convolutions have W R

    @property
    def kind(self) -> str:
        """See Change."""
        return "OFT of input channels"

    @property
    def parts(self) -> Parts:
        """See Change."""
        return {"oft_R.weight": self.upper} | (
            {"oft_R.scaled_oft": torch.tensor(True)} if self.is_scaled else {}
        )

    @property
    def size(self) -> int:
        """The channels of a block; 0: the triangle has no such size."""
        size = (1 + math.isqrt(1 + 8 * self.upper.shape[1])) // 2
        return size if size * (size - 1) // 2 == self.upper.shape[1] and size > 1 else 0

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """See Change."""
        into, size = math.prod(shape[1:]), self.size
        fits = size > 0 and into % size == 0 and len(self.upper) in (1, into // size) and len(shape) > 1
        return None if fits else f"{len(self.upper) * size} input channels in blocks of {size}"

    def _turned(self, device: torch.device) -> torch.Tensor:
        size = self.size
        upper = self.upper.to(device).float() / (2 * math.sqrt(size - 1) if self.is_scaled else 1)
        skew = torch.zeros(len(upper), size, size, device=device)
        rows, columns = torch.triu_indices(size, size, 1, device=device)
        skew[:, rows, columns] = upper
        skew = skew - skew.transpose(1, 2)
        eye = torch.eye(size, device=device)
        if not self.terms:
            return torch.linalg.solve(eye + skew, eye - skew, left=False)
        # PEFT's series: the last power counts once, and three terms have the same powers as four.
        last = self.terms - 1 if self.terms < 3 else max(3, self.terms - 1)
        power = total = eye.expand_as(skew)
        for exponent in range(1, last + 1):
            power = power @ skew
            total = total + (1 if exponent == last > 1 else 2) * power
        return total

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """See Change."""
        rotations = self._turned(weight.device)
        if self.turns_back:
            rotations = rotations.transpose(1, 2)
        flat = weight.reshape(len(weight), -1, self.size)
        turned = torch.einsum("ork,rkc->orc", flat, rotations.expand(flat.shape[1], -1, -1))
        return weight + strength * (turned.reshape(weight.shape) - weight)
