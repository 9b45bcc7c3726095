"""From a module's tensors to what it does to a layer: a product of two matrices, another change, a bias.

Each tensor is used, or the module is refused by the tensor's name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bootstrap.errors import UserError
from bootstrap.lora import lycoris
from bootstrap.lora.changes import Difference, Dora, Glora, Ia3
from bootstrap.lora.modules import Change, LoraModule, Parts
from bootstrap.lora.rotations import NEUMANN_TERMS, InputRotation, OutputRotation

_PRODUCT = ("lora_down.weight", "lora_up.weight")
_GLORA = ("a1.weight", "a2.weight", "b1.weight", "b2.weight")


@dataclass(frozen=True)
class Rules:
    """What the tensors leave open, and a file's metadata or an adapter's config say."""

    is_peft: bool = False
    rank: int | None = None  # PEFT's `r`, by which it divides alpha also where a LoKr has no rank
    rs_lora: bool = False  # GLoRA's alpha is divided by the root of its rank
    neumann_terms: int = NEUMANN_TERMS  # of OFT's approximation; 0: exact rotations


@dataclass(frozen=True)
class Built:
    """What one module of a file does to its layer; at most one of `module` and `change` is there."""

    module: LoraModule | None = None
    change: Change | None = None
    bias: torch.Tensor | None = None  # a difference, (out,)


def build(path: Path, name: str, parts: Parts, kernel_size: int | None, rules: Rules) -> Built:
    """Return what a module's tensors do.

    Args:
        path: of the file, for messages.
        name: of the module, for messages.
        parts: its tensors by LyCORIS' names; PEFT's `alpha` comes from its config.
        kernel_size: side of the kernel, if the module is known to be a convolution.
        rules: see Rules.

    Raises:
        UserError: a tensor is missing, left over, of a wrong shape or not finite.
    """
    _check_finite(path, name, parts)
    left = dict(parts)
    bias = _bias(path, name, left)
    module: LoraModule | None = None
    change: Change | None = None
    if "diff" in left or "w_norm" in left:
        left.pop("alpha", None)  # LyCORIS and ComfyUI add whole differences as they are
        key = "diff" if "diff" in left else "w_norm"
        change = Difference(left.pop(key), is_norm=key == "w_norm")
    elif any(key in left for key in _GLORA):
        change = _glora(path, name, left, rules)
    elif "oft_blocks" in left:
        constraint = left.pop("alpha", None)
        change = _output_rotation(path, name, left, 0.0 if constraint is None else float(constraint))
    elif "oft_R.weight" in left:
        change = _input_rotation(path, name, left, kernel_size, rules)
    elif "on_input" in left or "ia3_l" in left:
        change = _ia3(path, name, left)
    elif bias is None or set(left) - {"alpha"}:
        product = _product(path, name, left, kernel_size, rules)
        if "dora_scale" in left or "magnitude" in left:
            change = _dora(path, name, product, left)
        else:
            module = product
    else:
        left.pop("alpha", None)
    if left:
        raise UserError(
            f"LoRA {path}: module '{name}' has a tensor '{sorted(left)[0]}' that has no meaning beside its others "
            f"({', '.join(sorted(set(parts) - set(left)))}); {_ASK}"
        )
    return Built(module, change, bias)


_ASK = "ask where the file comes from"


def checked_module(
    path: Path, name: str, down: torch.Tensor, up: torch.Tensor, alpha: torch.Tensor | float | None
) -> LoraModule:
    """Return a product read from a file; alpha defaults to the rank, which is a scale of 1.

    Raises:
        UserError: the matrices do not fit together, or contain values that are not finite.
    """
    fit = (
        down.dim() in (2, 4)
        and up.dim() in (2, 4)
        and up.shape[1] == down.shape[0] >= 1
        and all(side == 1 for side in up.shape[2:])
    )
    if not fit:
        raise UserError(
            f"LoRA {path}: module '{name}' has matrices that do not fit together, down {tuple(down.shape)} and up "
            f"{tuple(up.shape)}"
        )
    number = float(down.shape[0] if alpha is None else alpha)
    return LoraModule(down, up, number)


def check_sizes(path: Path, modules: dict[str, Parts]) -> None:
    """Refuse LyCORIS modules whose small factors multiply out to more than any base model has, before computing one.

    Raises:
        UserError: they do.
    """
    numbers = 0
    for name, parts in modules.items():
        if lycoris.kind_of(set(parts)) is None:
            continue
        try:
            numbers += lycoris.size_as_lora(parts)
        except lycoris.TooLargeError as error:
            raise UserError(
                f"LoRA {path}: the factors of module '{name}' multiply to {error}, more than any layer has"
            ) from None
        except (KeyError, RuntimeError):
            continue  # build reports it
        if numbers > lycoris.MOST_IN_ALL:
            raise UserError(
                f"LoRA {path}: its factors multiply to more than {4 * lycoris.MOST_IN_ALL >> 30} GiB, more than any "
                "base model has"
            )


def _check_finite(path: Path, name: str, parts: Parts) -> None:
    for key in ("alpha", "scalar", "on_input"):
        if key in parts and parts[key].numel() != 1:
            raise UserError(f"LoRA {path}: the {key} of module '{name}' is not one number")
    for tensor in parts.values():
        # The float32 sum is finite exactly if all values are: float16 values are at most 65504, too small to overflow.
        if not torch.isfinite(tensor.float().sum()):
            raise UserError(
                f"LoRA {path}: module '{name}' has NaN or infinite values, because its training diverged; use an "
                "earlier snapshot"
            )


def _no_fit(path: Path, name: str, parts: Parts) -> UserError:
    shapes = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in sorted(parts.items()))
    return UserError(f"LoRA {path}: the tensors of module '{name}' do not fit together: {shapes}")


def _missing(path: Path, name: str, kind: str, keys: Sequence[str], parts: Parts) -> None:
    absent = [key for key in keys if key not in parts]
    if absent:
        raise UserError(f"LoRA {path}: module '{name}' is a {kind}, but has no {absent[0]}")


def _bias(path: Path, name: str, left: Parts) -> torch.Tensor | None:
    """Take the difference of a bias out of a module's tensors: LyCORIS', a norm's, or PEFT's `lora_bias`."""
    found = [key for key in ("diff_b", "b_norm", "lora_up.bias") if key in left]
    if not found:
        return None
    bias = left.pop(found[0])
    if len(found) > 1 or bias.dim() != 1:
        raise _no_fit(path, name, {key: left.get(key, bias) for key in found})
    if found[0] == "lora_up.bias" and "alpha" in left and "lora_down.weight" in left:
        bias = bias.float() * (float(left["alpha"]) / left["lora_down.weight"].shape[0])
    return bias


def _product(path: Path, name: str, left: Parts, kernel_size: int | None, rules: Rules) -> LoraModule:
    """Take a LoRA's, LoCon's, LoHa's or LoKr's tensors out of a module's."""
    keys = [key for key in left if key not in ("dora_scale", "magnitude", "scalar")]
    parts = {key: left.pop(key) for key in keys}
    kind = lycoris.kind_of(set(parts))
    if kind is None:
        if not set(_PRODUCT) <= set(parts):
            absent = "down" if _PRODUCT[0] not in parts else "up"
            raise UserError(
                f"LoRA {path}: module '{name}' has no lora_{absent}, only {', '.join(sorted(parts | left))}"
            )
        unknown = sorted(set(parts) - {*_PRODUCT, "alpha"})
        down, up = (parts.pop(key) for key in _PRODUCT)
        module = checked_module(path, name, down, up, parts.pop("alpha", None))
        left |= {key: parts[key] for key in unknown}
    else:
        allowed = {"LoHa": lycoris.LOHA, "LoKr": lycoris.LOKR}.get(kind, (*_PRODUCT, lycoris.MIDDLE))
        left |= {key: parts.pop(key) for key in sorted(parts) if key not in (*allowed, "alpha")}
        try:
            module = checked_module(path, name, *lycoris.as_lora(parts, kernel_size))
        except KeyError as error:
            raise UserError(f"LoRA {path}: module '{name}' is a {kind}, but has no {error.args[0]}") from None
        except RuntimeError as error:
            raise _no_fit(path, name, parts) from error
        if rules.rank and kind == "LoKr" and {"lokr_w1", "lokr_w2"} <= set(parts) and "alpha" in parts:
            module = LoraModule(module.down, module.up, module.alpha * float(parts["alpha"]) / rules.rank)
    scalar = left.pop("scalar", None)
    if scalar is not None:  # LyCORIS' early files have it beside the matrices, later ones in them
        module = LoraModule(module.down, module.up, module.alpha * float(scalar))
    return module


def _dora(path: Path, name: str, module: LoraModule, left: Parts) -> Dora:
    """Return a DoRA; its magnitudes are PEFT's, of the rows, or have the shape that says which they are of.

    PEFT has (out,), or (1, out, 1, 1) for a convolution; LyCORIS and OneTrainer have (out, 1, ...) or (1, in, ...).
    """
    rows, columns = module.shape[0], module.shape[1]
    ones = [1] * (len(module.shape) - 1)
    if "magnitude" in left:
        magnitude = left.pop("magnitude")
        by_row = magnitude.numel() == rows
    else:
        magnitude = left.pop("dora_scale")
        is_column = magnitude.dim() > 1 and magnitude.shape[0] == 1 and magnitude.shape[1] == columns
        by_row = magnitude.numel() == rows and not (is_column and rows != 1)
    if not by_row and magnitude.numel() != columns:
        raise _no_fit(path, name, {"magnitudes": magnitude, "up": module.up, "down": module.down})
    return Dora(
        module, magnitude.reshape(rows, *ones) if by_row else magnitude.reshape(1, columns, *ones[1:])
    )


def _glora(path: Path, name: str, left: Parts, rules: Rules) -> Glora:
    """Return a GLoRA. LyCORIS' early files have a1 and a2, b1 and b2 the other way round: the rank tells."""
    _missing(path, name, "GLoRA", _GLORA, left)
    given = {key: left.pop(key) for key in (*_GLORA, "bm.weight") if key in left}
    if any(tensor.dim() not in (2, 4) or tensor.numel() == 0 for tensor in given.values()):
        raise _no_fit(path, name, given)
    a1, a2, b1, b2 = (given[key].flatten(1) for key in _GLORA)
    newer, older = {a1.shape[1], a2.shape[0], b1.shape[1], b2.shape[0]}, {
        a1.shape[0], a2.shape[1], b1.shape[0], b2.shape[1]
    }  # fmt: skip
    if len(older) == 1 and (len(newer) > 1 or min(older) < min(newer)):
        a1, a2, b1, b2 = a2, a1, b2, b1
    middle = given.get("bm.weight")
    if middle is not None:
        if middle.dim() != 4 or middle.shape[1] != b2.shape[0] or b1.shape[1] != middle.shape[0]:
            raise _no_fit(path, name, given)
        if middle.shape[0] * b2.shape[1] * math.prod(middle.shape[2:]) > lycoris.MOST_NUMBERS:
            raise _no_fit(path, name, given)
        b2 = torch.einsum("mnkl,nj->mjkl", middle.float(), b2.float()).flatten(1)
    rank = a2.shape[0]
    if a1.shape != (a2.shape[1], rank) or b1.shape[1] != b2.shape[0]:
        raise _no_fit(path, name, given)
    alpha, scalar = (float(left.pop(key, torch.tensor(float(default)))) for key, default in
                     (("alpha", rank), ("scalar", 1)))  # fmt: skip
    return Glora(a1, a2, b1, b2, scalar * alpha / (math.sqrt(rank) if rules.rs_lora else rank))


def _output_rotation(path: Path, name: str, left: Parts, constraint: float) -> OutputRotation:
    blocks, rescale = left.pop("oft_blocks"), left.pop("rescale", None)
    if blocks.dim() not in (3, 4) or blocks.shape[-1] != blocks.shape[-2] or blocks.numel() == 0:
        raise _no_fit(path, name, {"oft_blocks": blocks})
    return OutputRotation(blocks, constraint, rescale)


def _input_rotation(
    path: Path, name: str, left: Parts, kernel_size: int | None, rules: Rules
) -> InputRotation:
    left.pop("alpha", None)  # OFT has none; an adapter's config names one for all kinds
    upper, scaled = left.pop("oft_R.weight"), left.pop("oft_R.scaled_oft", None)
    if rules.is_peft and kernel_size is not None and kernel_size > 1:
        raise UserError(
            f"LoRA {path}: '{name}.oft_R.weight' is PEFT's OFT of a convolution, which PEFT trains otherwise than it "
            "merges it; only its OFT of linear layers is read"
        )
    turns_back = rules.is_peft or kernel_size is None
    if upper.dim() != 2 or upper.numel() == 0:
        raise _no_fit(path, name, {"oft_R.weight": upper})
    rotation = InputRotation(
        upper, rules.neumann_terms, scaled is not None and bool(scaled.any()), turns_back
    )
    if not rotation.size:
        raise _no_fit(path, name, {"oft_R.weight": upper})
    return rotation


def _ia3(path: Path, name: str, left: Parts) -> Ia3:
    if "ia3_l" in left:
        left.pop("alpha", None)
        factors = left.pop("ia3_l")
        if factors.dim() != 2 or min(factors.shape) != 1:
            raise UserError(
                f"LoRA {path}: '{name}.ia3_l' has the shape {tuple(factors.shape)}; only PEFT's (IA)^3 of linear "
                "layers is read, which has (out, 1) or (1, in)"
            )
        on_input = factors.shape[0] == 1
        return Ia3(factors.flatten().float() - 1, on_input, scales_bias=not on_input)
    _missing(path, name, "(IA)^3", ("weight", "on_input"), left)
    numbers, on_input = left.pop("weight"), bool(left.pop("on_input"))
    if numbers.numel() == 0 or numbers.numel() != max(numbers.shape, default=0):
        raise _no_fit(path, name, {"weight": numbers})
    return Ia3(numbers.flatten(), on_input)
