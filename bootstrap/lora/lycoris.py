"""LyCORIS' kinds of LoRA, which files in kohya's format may contain: LoHa, LoKr, and LoCon with a middle tensor.

Each is converted to a LoRA with exactly the same delta: a Hadamard or Kronecker product of low-rank matrices is itself
a product of two larger matrices. So the rest of the code handles only one kind.

Source of names, shapes and formulas: LyCORIS (lycoris/modules/loha.py, lokr.py, locon.py, functional/general.py) and
stable-diffusion-webui (extensions-builtin/Lora/network_hada.py, network_lokr.py).
"""

import math

import torch

Parts = dict[str, torch.Tensor]  # a module's tensors, by the suffix after its name
# Up and down with flattened kernels, and the divisor of alpha; None: alpha has no effect.
Product = tuple[torch.Tensor, torch.Tensor, int | None]

MOST_NUMBERS = 2**26  # of one matrix: 256 MiB as float32; the largest layer of SDXL has 2**25
MOST_IN_ALL = 2**33  # of a file's modules together, 32 GiB; a LoHa of dim 32 for all of SDXL has 2**31.5
_MOST_EXPANDED = 2**24  # numbers of a LoHa's `up`; beyond, its delta is computed instead if that is smaller

LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
MIDDLE = "lora_mid.weight"


def kind_of(suffixes: set[str]) -> str | None:
    """Return the kind for the suffixes of tensor names after the modules' names; None: none of LyCORIS' kinds."""
    for kind, typical in (("LoHa", LOHA), ("LoKr", LOKR), ("LoCon with a middle tensor", (MIDDLE,))):
        if suffixes.intersection(typical):
            return kind
    return None


def as_lora(parts: Parts, kernel_size: int | None) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return down, up and alpha of the LoRA with the same delta, float32.

    Args:
        parts: the module's tensors, including `alpha` if the file has it. Kernels are flattened.
        kernel_size: side of the kernel, if the module is a convolution; None: it is linear.

    Raises:
        KeyError: a tensor is missing.
        RuntimeError: the tensors do not fit together.
        TooLargeError: see size_as_lora.
    """
    size_as_lora(parts)
    parts = {key: tensor.float() for key, tensor in parts.items()}
    up, down, dim = _product(parts)
    scale = float(parts["alpha"]) / dim if dim is not None and "alpha" in parts else 1.0
    if down.shape[0] > up.shape[0]:  # the delta itself is smaller than its factors
        up, down = torch.eye(up.shape[0]), up @ down
    elif down.shape[0] > down.shape[1]:
        up, down = up @ down, torch.eye(down.shape[1])
    rank = down.shape[0]
    if kernel_size is not None:
        up, down = up[:, :, None, None], down.reshape(rank, -1, kernel_size, kernel_size)
    return down, up, scale * rank


class TooLargeError(ValueError):
    """The product of a module's small factors is larger than any layer."""


def size_as_lora(parts: Parts) -> int:
    """Return how many numbers the LoRA with the same delta has, without computing it.

    Raises:
        KeyError, RuntimeError: see as_lora.
        TooLargeError: one of the matrices on the way has more than MOST_NUMBERS.
    """
    _check_shapes(parts)
    try:
        rows, rank, columns = _sizes({key: tuple(tensor.shape) for key, tensor in parts.items()})
    except IndexError:
        raise RuntimeError("a tensor has too few dimensions") from None
    for first, second in ((rows, rank), (rank, columns), (rows, columns)):
        if first * second > MOST_NUMBERS:
            raise TooLargeError(f"a matrix of {first:,} x {second:,}")
    return _folded(rows, rank, columns) * (rows + columns)


def _folded(rows: int, rank: int, columns: int) -> int:
    """Return the rank of a delta's LoRA: an identity takes the place of a factor that is larger than the delta."""
    return rows if rank > rows else min(rank, columns)


def _sizes(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int, int]:
    """Return the numbers of rows of `up`, of its columns, and of columns of `down`, as `_product` computes them."""
    kind = kind_of(set(shapes))
    if kind == "LoHa":
        (rows, rank1), (_, columns) = _pair_sizes(shapes, "hada_w1_a", "hada_w1_b", "hada_t1")
        (_, rank2), _ = _pair_sizes(shapes, "hada_w2_a", "hada_w2_b", "hada_t2")
        rank = rank1 * rank2
        return rows, columns if _is_large(rows, rank, columns) else rank, columns
    if kind == "LoKr":
        w1 = shapes.get("lokr_w1") or (shapes["lokr_w1_a"][0], shapes["lokr_w1_b"][1])
        if "lokr_w2" in shapes:
            w2 = shapes["lokr_w2"]
            rows, columns = w1[0] * w2[0], w1[1] * math.prod(w2[1:])
            return rows, _folded(rows, w1[1] * w2[0], columns), columns
        left, right = _pair_sizes(shapes, "lokr_w2_a", "lokr_w2_b", "lokr_t2")
        return w1[0] * left[0], w1[1] * left[1], w1[1] * right[1]
    up, middle, down = shapes["lora_up.weight"], shapes[MIDDLE], shapes["lora_down.weight"]
    return up[0], math.prod(up[1:]), math.prod(middle[2:]) * math.prod(down[1:])


def _pair_sizes(
    shapes: dict[str, tuple[int, ...]], a: str, b: str, core: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of the two matrices of `_pair`."""
    first, second = shapes[a], shapes[b]
    if core not in shapes:
        return (first[0], math.prod(first[1:])), (second[0], math.prod(second[1:]))
    return (first[1], first[0]), (shapes[core][0], math.prod(second[1:]) * math.prod(shapes[core][2:]))


def _check_shapes(parts: Parts) -> None:
    for key, tensor in parts.items():
        if key != "alpha" and (tensor.dim() not in (2, 4) or tensor.numel() == 0):
            raise RuntimeError(f"{key} is neither a matrix nor a kernel")


def _product(parts: Parts) -> Product:
    kind = kind_of(set(parts))
    return _loha(parts) if kind == "LoHa" else _lokr(parts) if kind == "LoKr" else _locon(parts)


def _loha(parts: Parts) -> Product:
    """Return the Hadamard product (w1_a w1_b) * (w2_a w2_b) as a matrix product.

    Each pair of a column of w1_a and one of w2_a gives a column of `up`, and the rows of w1_b and w2_b give `down`.
    """
    (up1, down1), (up2, down2) = (
        _pair(parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"], parts.get(f"hada_t{number}"))
        for number in (1, 2)
    )
    if _is_large(up1.shape[0], up1.shape[1] * up2.shape[1], down1.shape[1]):
        delta = (up1 @ down1) * (up2 @ down2)
        return delta, torch.eye(delta.shape[1]), parts["hada_w1_b"].shape[0]
    up = torch.einsum("oi,oj->oij", up1, up2).flatten(1)
    down = torch.einsum("in,jn->ijn", down1, down2).flatten(0, 1)
    return up, down, parts["hada_w1_b"].shape[0]


def _is_large(rows: int, rank: int, columns: int) -> bool:
    return rows * rank > _MOST_EXPANDED and rank > columns


def _lokr(parts: Parts) -> Product:
    """Return the Kronecker product of w1 and w2 = left right as the matrix product (w1 x left) (1 x right)."""
    dim = None  # alpha has an effect only if w1 or w2 is of low rank
    if "lokr_w1" in parts:
        w1 = parts["lokr_w1"]
    else:
        w1, dim = parts["lokr_w1_a"] @ parts["lokr_w1_b"], parts["lokr_w1_b"].shape[0]
    if "lokr_w2" in parts:
        w2 = parts["lokr_w2"].flatten(1)
        rows, rank, columns = w1.shape[0] * w2.shape[0], w1.shape[1] * w2.shape[0], w1.shape[1] * w2.shape[1]
        if rank > rows:
            return torch.eye(rows), _kronecker(w1, w2), dim
        if rank > columns:
            return _kronecker(w1, w2), torch.eye(columns), dim
        left, right = torch.eye(len(w2)), w2
    else:
        left, right = _pair(parts["lokr_w2_a"], parts["lokr_w2_b"], parts.get("lokr_t2"))
        dim = parts["lokr_w2_b"].shape[0]
    return _kronecker(w1, left), _kronecker(torch.eye(w1.shape[1]), right), dim


def _kronecker(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute torch.kron(a, b), which itself fails on some transposed matrices (torch 2.13)."""
    return torch.einsum("ab,cd->acbd", a, b).flatten(2).flatten(0, 1)


def _locon(parts: Parts) -> Product:
    """Return the product of a 1x1 down, a k x k middle and a 1x1 up convolution."""
    down = parts["lora_down.weight"].flatten(1)
    combined = torch.einsum("rskl,si->rikl", parts[MIDDLE], down)
    return parts["lora_up.weight"].flatten(1), combined.flatten(1), down.shape[0]


def _pair(a: torch.Tensor, b: torch.Tensor, core: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two matrices whose product is a b, or with a Tucker decomposition a core b, with flattened kernels."""
    if core is None:
        return a, b.flatten(1)
    return a.T, torch.einsum("ijkl,jr->irkl", core, b).flatten(1)
