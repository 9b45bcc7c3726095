"""LyCORIS' kinds of LoRA, which files in kohya's format may contain: LoHa, LoKr, and LoCon with a middle tensor.

Each is converted to a LoRA with exactly the same delta: a Hadamard or Kronecker product of low-rank matrices is itself
a product of two larger matrices. So the rest of the code handles only one kind.

Source of names, shapes and formulas: LyCORIS (lycoris/modules/loha.py, lokr.py, locon.py, functional/general.py) and
stable-diffusion-webui (extensions-builtin/Lora/network_hada.py, network_lokr.py).
"""

import torch

Parts = dict[str, torch.Tensor]  # a module's tensors, by the suffix after its name
# Up and down with flattened kernels, and the divisor of alpha; None: alpha has no effect.
Product = tuple[torch.Tensor, torch.Tensor, int | None]

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
    """
    for key, tensor in parts.items():
        if key != "alpha" and (tensor.dim() not in (2, 4) or tensor.numel() == 0):
            raise RuntimeError(f"{key} is neither a matrix nor a kernel")
    parts = {key: tensor.float() for key, tensor in parts.items()}
    kind = kind_of(set(parts))
    product_of = _loha if kind == "LoHa" else _lokr if kind == "LoKr" else _locon
    up, down, dim = product_of(parts)
    scale = float(parts["alpha"]) / dim if dim is not None and "alpha" in parts else 1.0
    if down.shape[0] > up.shape[0]:  # the delta itself is smaller than its factors
        up, down = torch.eye(up.shape[0]), up @ down
    rank = down.shape[0]
    if kernel_size is not None:
        up, down = up[:, :, None, None], down.reshape(rank, -1, kernel_size, kernel_size)
    return down, up, scale * rank


def _loha(parts: Parts) -> Product:
    """Return the Hadamard product (w1_a w1_b) * (w2_a w2_b) as a matrix product.

    Each pair of a column of w1_a and one of w2_a gives a column of `up`, and the rows of w1_b and w2_b give `down`.
    """
    (up1, down1), (up2, down2) = (
        _pair(parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"], parts.get(f"hada_t{number}"))
        for number in (1, 2)
    )
    up = torch.einsum("oi,oj->oij", up1, up2).flatten(1)
    down = torch.einsum("in,jn->ijn", down1, down2).flatten(0, 1)
    return up, down, parts["hada_w1_b"].shape[0]


def _lokr(parts: Parts) -> Product:
    """Return the Kronecker product of w1 and w2 = left right as the matrix product (w1 x left) (1 x right)."""
    dim = None  # alpha has an effect only if w1 or w2 is of low rank
    if "lokr_w1" in parts:
        w1 = parts["lokr_w1"]
    else:
        w1, dim = parts["lokr_w1_a"] @ parts["lokr_w1_b"], parts["lokr_w1_b"].shape[0]
    if "lokr_w2" in parts:
        w2 = parts["lokr_w2"].flatten(1)
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
