"""LyCORIS' kinds of LoRA, which kohya's files may hold too: LoHa, LoKr, and LoCon with a middle tensor.

Each is read as the plain LoRA that adds exactly the same: a product of two matrices, element by element or as
Kronecker's, is itself a product of two larger ones. So everything else here needs to know one kind only.

Source of names, shapes and formulas: LyCORIS (lycoris/modules/loha.py, lokr.py, locon.py, functional/general.py) and
stable-diffusion-webui (extensions-builtin/Lora/network_hada.py, network_lokr.py).
"""

import torch

Parts = dict[str, torch.Tensor]  # a module's tensors, by what follows its name
# Up and down, kernels in a row, and what alpha is divided by; None: alpha does not count.
Product = tuple[torch.Tensor, torch.Tensor, int | None]

LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
MIDDLE = "lora_mid.weight"


def kind_of(suffixes: set[str]) -> str | None:
    """Name the kind by the names of the tensors, without the modules' names; None: none of these."""
    for kind, own in (("LoHa", LOHA), ("LoKr", LOKR), ("LoCon with a middle tensor", (MIDDLE,))):
        if suffixes.intersection(own):
            return kind
    return None


def as_lora(parts: Parts, kernel_size: int | None) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return down, up and alpha of the LoRA that adds the same to the module, float32.

    Args:
        parts: the module's tensors, `alpha` among them where the file has one. They have their kernels in a row.
        kernel_size: the side of the kernel of the convolution that the module is; None: it is linear.

    Raises:
        KeyError: a tensor is missing.
        RuntimeError: the tensors do not fit together.
    """
    for key, tensor in parts.items():
        if key != "alpha" and (tensor.dim() not in (2, 4) or tensor.numel() == 0):
            raise RuntimeError(f"{key} is neither a matrix nor a kernel")
    numbers = {key: tensor.float() for key, tensor in parts.items()}
    kind = kind_of(set(parts))
    make = _loha if kind == "LoHa" else _lokr if kind == "LoKr" else _locon
    up, down, dim = make(numbers)
    scale = float(numbers["alpha"]) / dim if dim is not None and "alpha" in numbers else 1.0
    if down.shape[0] > up.shape[0]:  # the sum itself is smaller than what it is made of
        up, down = torch.eye(up.shape[0]), up @ down
    rank = down.shape[0]
    if kernel_size is not None:
        up, down = up[:, :, None, None], down.reshape(rank, -1, kernel_size, kernel_size)
    return down, up, scale * rank


def _loha(parts: Parts) -> Product:
    """(w1_a w1_b) times (w2_a w2_b), element by element: each pair of a column and a row gives one of the product."""
    one, two = (
        _pair(parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"], parts.get(f"hada_t{number}"))
        for number in (1, 2)
    )
    up = torch.einsum("oi,oj->oij", one[0], two[0]).flatten(1)
    down = torch.einsum("in,jn->ijn", one[1], two[1]).flatten(0, 1)
    return up, down, parts["hada_w1_b"].shape[0]


def _lokr(parts: Parts) -> Product:
    """Kronecker's product of w1 and w2 = left right: (w1 x left) (1 x right)."""
    dim = None  # alpha counts only where something is of low rank
    if "lokr_w1" in parts:
        first = parts["lokr_w1"]
    else:
        first, dim = parts["lokr_w1_a"] @ parts["lokr_w1_b"], parts["lokr_w1_b"].shape[0]
    if "lokr_w2" in parts:
        whole = parts["lokr_w2"].flatten(1)
        left, right = torch.eye(len(whole)), whole
    else:
        left, right = _pair(parts["lokr_w2_a"], parts["lokr_w2_b"], parts.get("lokr_t2"))
        dim = parts["lokr_w2_b"].shape[0]
    return _kronecker(first, left), _kronecker(torch.eye(first.shape[1]), right), dim


def _kronecker(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """As torch.kron, which fails on some transposed matrices (torch 2.13)."""
    return torch.einsum("ab,cd->acbd", one, other).flatten(2).flatten(0, 1)


def _locon(parts: Parts) -> Product:
    """One by one down, k by k in the middle, one by one up."""
    down = parts["lora_down.weight"].flatten(1)
    made = torch.einsum("rskl,si->rikl", parts[MIDDLE], down)
    return parts["lora_up.weight"].flatten(1), made.flatten(1), down.shape[0]


def _pair(a: torch.Tensor, b: torch.Tensor, core: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Two matrices whose product is a b, or with Tucker's decomposition a core b, kernels in a row."""
    if core is None:
        return a, b.flatten(1)
    return a.T, torch.einsum("ijkl,jr->irkl", core, b).flatten(1)
