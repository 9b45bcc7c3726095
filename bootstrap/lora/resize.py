"""Reducing a LoRA's rank: the best approximation of each module's delta with a smaller rank."""

from dataclasses import dataclass, replace

import torch

from bootstrap.errors import UserError
from bootstrap.lora.changes import Difference
from bootstrap.lora.modules import LoraFile, LoraModule


@dataclass(frozen=True)
class Resized:
    """A resized LoRA, and how much of the original it preserves."""

    lora: LoraFile
    kept: float  # share of the deltas' sum of squares, 0 to 1


def resize(lora: LoraFile, rank: int) -> Resized:
    """Reduce every module to at most `rank` dimensions by singular value decomposition.

    Modules of this or a smaller rank stay unchanged. Each module's scale alpha / rank stays the same. A layer with
    fewer inputs or outputs than `rank` gets as many dimensions as it has of those. Full differences, norms and biases,
    which have no rank, stay.

    Raises:
        UserError: rank is less than 1, no module has a larger rank, or the file has a module that is no product.
    """
    if rank < 1:
        raise UserError(f"--rank {rank}: must be 1 or more")
    for name, change in lora.changes.items():
        if not isinstance(change, Difference):
            raise UserError(
                f"LoRA: module '{name}' is a {change.kind}, which cannot be resized; only LoRA, LoCon, LoHa and LoKr "
                "can be"
            )
    if all(module.rank <= rank for module in lora.modules.values()):
        largest = max((module.rank for module in lora.modules.values()), default=0)
        raise UserError(f"--rank {rank}: the LoRA's largest rank is only {largest}; give a smaller one")
    modules: dict[str, LoraModule] = {}
    kept = total = 0.0
    for name, module in lora.modules.items():
        modules[name], squares = _resize_module(module, rank)
        kept += float(squares[: modules[name].rank].sum())
        total += float(squares.sum())
    metadata = {key: value for key, value in lora.metadata.items() if not key.startswith("sshs_")}
    metadata["ss_network_dim"] = str(rank)
    metadata["ss_network_alpha"] = str(max(module.alpha for module in modules.values()))
    return Resized(replace(lora, modules=modules, metadata=metadata), kept / total if total else 1.0)


def _resize_module(module: LoraModule, rank: int) -> tuple[LoraModule, torch.Tensor]:
    """Return the module with a smaller rank, and the squares of all singular values of its delta.

    The singular values of up @ down are those of the small matrix in the middle of the two QR decompositions.
    """
    factor = module.alpha / module.rank
    up_base, up_small = torch.linalg.qr(module.up.double().flatten(1))
    down_base, down_small = torch.linalg.qr(module.down.double().flatten(1).T)
    left, values, right = torch.linalg.svd(up_small @ down_small.T)
    squares = (factor * values).square()
    if module.rank <= rank:
        return module, squares
    rank = min(rank, len(values))  # of a layer with fewer inputs or outputs
    root = values[:rank].sqrt()
    up = (up_base @ left[:, : len(values)])[:, :rank] * root
    down = (right[: len(values)] @ down_base.T)[:rank] * root[:, None]
    resized = LoraModule(
        down.reshape(rank, *module.down.shape[1:]).to(module.down.dtype),
        up.reshape(-1, rank, *module.up.shape[2:]).to(module.up.dtype),
        factor * rank,
    )
    return resized, squares
