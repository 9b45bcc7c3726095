"""Textual-inversion embeddings: vectors that stand in a prompt where their name does.

Layouts of a .safetensors file: one tensor (vectors, width) of any name for Stable Diffusion 1.x; `clip_l` and `clip_g`
for XL's two text encoders. Source: stable-diffusion-webui, modules/textual_inversion/textual_inversion.py,
`create_embedding_from_data`.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models import registry
from bootstrap.models.prompt import Embedding
from bootstrap.shots import EmbeddingUse

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
_held: dict[EmbeddingUse, Embedding] = {}


def hold(path: Path, name: str | None = None) -> Embedding:
    """Read an embedding; it stays in memory, known by its name and its content.

    Args:
        name: by which prompts call it; None: the file's without ending.

    Raises:
        UserError: the file is missing, damaged, a pickle, or no embedding.
    """
    if path.suffix.lower() != ".safetensors":
        raise UserError(
            f"embedding {path}: only .safetensors files are read, pickled ones can run code when opened; "
            "convert it to .safetensors where it came from, or fetch it in that format"
        )
    try:
        status = path.stat()
    except OSError:
        raise UserError(f"embedding {path}: there is no such file") from None
    found = _read(path, status.st_size, status.st_mtime_ns)
    if name is not None:
        found = replace(found, name=name)
    _held[found.use] = found
    return found


def held(use: EmbeddingUse) -> Embedding:
    """Return the embedding of a shot, which has been read by `hold`."""
    if use not in _held:
        raise RuntimeError(f"embedding '{use.name}' of a shot was not read")
    return _held[use]


@lru_cache(maxsize=4096)
def _read(path: Path, size: int, modified: int) -> Embedding:
    """Read a file; the size and time of its last change are there to see that it was replaced."""
    try:
        tensors = {name: _array(path, tensor) for name, tensor in deserialize(path.read_bytes())}
    except (SafetensorError, OSError) as error:
        raise UserError(f"embedding {path}: damaged, or no safetensors file ({error})") from None
    vectors = _vectors(path, tensors)
    if not all(np.isfinite(part).all() for part in vectors):
        raise UserError(f"embedding {path}: it has values that are no numbers; fetch it again")
    return Embedding(path.stem, sha256_of_file(path), vectors)


def _vectors(path: Path, tensors: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    """The vectors for each text encoder, of whichever family the embedding is."""
    for family in registry.families():
        try:
            vectors = family.embedding_vectors(tensors)
        except ValueError as error:
            raise UserError(f"embedding {path}: {error}") from None
        if vectors is not None:
            return vectors
    names = ", ".join(sorted(tensors)[:3]) or "nothing"
    raise UserError(f"embedding {path}: no embedding of {registry.titles()} (it has {names})")


def _array(path: Path, tensor: dict[str, Any]) -> NDArray[np.float32]:
    """A tensor of a file as float32. NumPy, as torch takes seconds to import, and counting shots needs none of it."""
    dtype, data = tensor["dtype"], tensor["data"]
    if dtype == "BF16":  # the upper half of a float32
        values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    elif dtype in _DTYPES:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            values = np.frombuffer(data, _DTYPES[dtype]).astype(np.float32)
    else:
        raise UserError(
            f"embedding {path}: its numbers are of type {dtype}, which is not read; convert it to F32"
        )
    return values.reshape(tensor["shape"])
