"""Textual-inversion embeddings that a LoRA file brings along, as OneTrainer bundles them: `bundle_emb.NAME.clip_l`.

They are drawn with while a prompt names both the LoRA and the embedding, as in AUTOMATIC1111
(extensions-builtin/Lora/networks.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.lora import header, tensor_names
from bootstrap.models.family import Family

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


def in_file(path: Path) -> "dict[str, tuple[NDArray[np.float32], ...]]":
    """Return the vectors of each embedding that a LoRA file brings along, one array per text encoder, by its name.

    Raises:
        UserError: the file cannot be read, or an embedding is malformed.
    """
    found = header.recognized(path)
    names = [name for name in found.shapes if name.startswith(tensor_names.BUNDLED)]
    if not names or found.family is None:
        return {}
    with reading.safetensors(path, f"LoRA {path}", header.REMEDY) as file:
        return check(path, found.family, {name: file.get_tensor(name) for name in names})


def check(
    path: Path, family: Family, tensors: "Mapping[str, torch.Tensor]"
) -> "dict[str, tuple[NDArray[np.float32], ...]]":
    """Return the embeddings in the tensors that a LoRA file brings along; see in_file.

    Raises:
        UserError: an embedding is malformed, or not of the family.
    """
    by_embedding: dict[str, dict[str, NDArray[np.float32]]] = {}
    for key, tensor in tensors.items():
        split = tensor_names.bundled_name(key)
        if split is None or tensor.dim() not in (1, 2):
            raise UserError(f"LoRA {path}: '{key}' is not a tensor of an embedding; {header.REMEDY}")
        by_embedding.setdefault(split[0], {})[split[1]] = tensor.float().numpy()
    made = {}
    for name, parts in by_embedding.items():
        try:
            vectors = family.embedding_vectors(parts)
        except ValueError as error:
            raise UserError(f"LoRA {path}: its embedding '{name}': {error}") from None
        if vectors is None:
            raise UserError(
                f"LoRA {path}: its embedding '{name}' has {', '.join(sorted(parts))}, which is not an embedding of "
                f"{family.title}"
            )
        made[name] = vectors
    return made
