"""What a LoRA file does to a base model: products of two matrices, other changes of weights, differences of biases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

Parts = dict[str, torch.Tensor]  # a module's tensors, by LyCORIS' name of each


@dataclass(frozen=True)
class LoraModule:
    """The matrices and alpha of one module of a LoRA."""

    down: torch.Tensor  # (rank, in) or (rank, in, k, k)
    up: torch.Tensor  # (out, rank) or (out, rank, 1, 1)
    alpha: float

    @property
    def rank(self) -> int:
        """The inner dimension; kohya's network_dim."""
        return int(self.down.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `delta`."""
        return (self.up.shape[0], *self.down.shape[1:])

    def to(self, device: torch.device) -> "LoraModule":
        """Return a copy on a device."""
        return LoraModule(self.down.to(device), self.up.to(device), self.alpha)

    def delta(self) -> torch.Tensor:
        """Return `alpha / rank * up @ down`, float32, in the shape of the module's weight."""
        up, down = self.up.float().flatten(1), self.down.float().flatten(1)
        return (self.alpha / self.rank) * (up @ down).reshape(self.up.shape[0], *self.down.shape[1:])


class Change(Protocol):
    """What a file does to one weight, where that is more than adding a product of two matrices."""

    @property
    def kind(self) -> str:
        """The kind's name for messages: DoRA, full difference, norm, OFT, BOFT, GLoRA, (IA)^3."""

    @property
    def parts(self) -> Parts:
        """Its tensors under LyCORIS' names, from which `building` makes the same change again."""

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """Return the shape that it was made for, if that is not the weight's; None: it fits."""

    def changed(self, weight: torch.Tensor, strength: float) -> torch.Tensor:
        """Return the changed weight, float32, in its shape and on its device; `weight` stays as it is.

        Args:
            weight: float32, with the changes of earlier LoRAs.
            strength: 0 leaves the weight as it is, 1 is what was trained.
        """


@dataclass(frozen=True)
class LoraFile:
    """The content of a LoRA file, by kohya's name of each module."""

    modules: dict[str, LoraModule]
    metadata: dict[str, str]
    changes: Mapping[str, Change] = field(default_factory=dict)  # of other modules
    biases: Mapping[str, torch.Tensor] = field(default_factory=dict)  # differences, (out,)
    embeddings: Mapping[str, torch.Tensor] = field(
        default_factory=dict
    )  # `bundle_emb.NAME...`, as in the file

    @property
    def names(self) -> list[str]:
        """The names of all modules that it changes, each once."""
        return list(dict.fromkeys((*self.modules, *self.changes, *self.biases)))

    def strongest_rank(self) -> int:
        """Return the largest rank; 1 without any product."""
        return max((module.rank for module in self.modules.values()), default=1)


def fits(made_for: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a change of one shape can be added to a weight of the other: the same but for 1x1 kernels."""

    def bare(sides: tuple[int, ...]) -> tuple[int, ...]:
        return sides[:2] if all(side == 1 for side in sides[2:]) else sides

    return bare(made_for) == bare(shape)
