"""Giving the modules of a LoRA another alpha without changing what they add.

diffusers gives all attention modules of a kohya file the most common alpha of the file. So files are written with one
alpha for all modules, and the rest of each module's factor goes into its matrices. A power of two is shared between
them: folded into a float16 `up` alone, small values would become subnormal and lose up to all their digits.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import torch

from bootstrap.lora.modules import LoraFile, LoraModule

_FARTHEST = 8  # powers of two tried on both sides of an even share


def unified(lora: LoraFile) -> LoraFile:
    """Return a LoRA whose modules all have one alpha: the most common of them."""
    alpha = common_alpha(lora.modules)
    if alpha is None:
        return lora
    modules = {name: with_alpha(module, alpha) for name, module in lora.modules.items()}
    metadata = lora.metadata
    if "ss_network_alpha" in metadata:
        metadata = {**metadata, "ss_network_alpha": str(alpha)}
    return replace(lora, modules=modules, metadata=metadata)


def common_alpha(modules: Mapping[str, LoraModule]) -> float | None:
    """Return the alpha of most modules, the first of equally many; None: there is no module, or all have it."""
    counts = Counter(module.alpha for module in modules.values() if module.alpha > 0)
    if not counts or (len(counts) == 1 and counts.total() == len(modules)):
        return None
    alpha, dtype = counts.most_common(1)[0][0], next(iter(modules.values())).down.dtype
    return float(torch.tensor(alpha, dtype=dtype)) or alpha  # as the file will hold it


def with_alpha(module: LoraModule, alpha: float) -> LoraModule:
    """Return a module with another alpha, larger than 0, that adds the same; dtypes stay.

    Only the part of the factor that is no power of two is rounded, unless no share of the power keeps all digits.
    """
    factor = module.alpha / alpha
    if factor == 1:
        return module
    if factor == 0:
        return LoraModule(module.down, torch.zeros_like(module.up), alpha)
    mantissa, exponent = math.frexp(factor)
    if mantissa == 0.5:  # a power of two
        mantissa, exponent = 1.0, exponent - 1
    up = module.up.float() * mantissa
    shares = sorted(
        range(exponent // 2 - _FARTHEST, exponent // 2 + _FARTHEST + 1),
        key=lambda share: abs(share - exponent / 2),
    )
    best, least = shares[0], math.inf
    for share in shares:
        of_up = _lost(up, exponent - share, module.up.dtype, is_rounded=mantissa != 1)
        lost = max(_lost(module.down, share, module.down.dtype), of_up)
        if lost < least:
            best, least = share, lost
        if lost == 0:
            break
    down = (module.down.float() * 2.0**best).to(module.down.dtype)
    return LoraModule(down, (up * 2.0 ** (exponent - best)).to(module.up.dtype), alpha)


def _lost(matrix: torch.Tensor, exponent: int, dtype: torch.dtype, is_rounded: bool = False) -> float:
    """Return how much of a matrix is lost by scaling it with a power of two.

    Args:
        dtype: of the scaled matrix.
        is_rounded: do not count the rounding to the dtype's digits, which the matrix needs in any case.
    """
    exact = matrix.float()
    if dtype == torch.float32:
        return 0.0
    back = (exact * 2.0**exponent).to(dtype).float() * 2.0**-exponent
    if not torch.isfinite(back.sum()):
        return math.inf
    digits = torch.finfo(dtype).eps if is_rounded else 0.0
    beyond = ((back - exact).abs() - digits / 2 * exact.abs()).clamp(min=0)
    return float(beyond.norm() / exact.norm().clamp(min=1e-30))
