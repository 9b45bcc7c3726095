"""Textual-inversion embeddings: vectors that replace their name in a prompt.

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

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models import registry
from bootstrap.models.prompt import Embedding
from bootstrap.shots import EmbeddingUse

MOST_BYTES = 64_000_000  # of a file; 75 vectors of SDXL have 0.6 million
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
_MOST_BYTES = 50_000_000  # 75 vectors for both text encoders of XL in float64 have 1.2 million
_held: dict[EmbeddingUse, Embedding] = {}


def hold(path: Path, name: str | None = None) -> Embedding:
    """Read an embedding and keep it in memory, under its name and the hash of its content.

    Args:
        name: that prompts use for it; None: the file's name without its extension.

    Raises:
        UserError: the file is missing, too large, damaged, a pickle, or not an embedding.
    """
    if path.suffix.lower() != ".safetensors":
        raise UserError(
            f"embedding {path}: only .safetensors files are read, pickled ones can run code when opened; "
            "convert it to .safetensors, or download it in that format"
        )
    try:
        status = path.stat()
    except OSError:
        raise UserError(f"embedding {path}: there is no such file") from None
    if status.st_size > MOST_BYTES:
        raise UserError(f"embedding {path}: it has {status.st_size:,} bytes, {MOST_BYTES:,} at most are read")
    embedding = _read(path, status.st_size, status.st_mtime_ns)
    if name is not None:
        embedding = replace(embedding, name=name)
    _held[embedding.use] = embedding
    return embedding


def keep(name: str, sha256: str, vectors: tuple[NDArray[np.float32], ...]) -> Embedding:
    """Keep an embedding in memory that is no file of its own, as `hold` does.

    Args:
        sha256: of the file that it is a part of.

    Raises:
        ValueError: it has NaN or infinite values.
    """
    if not all(np.isfinite(part).all() for part in vectors):
        raise ValueError("it contains NaN or infinite values")
    embedding = Embedding(name, sha256, vectors)
    _held[embedding.use] = embedding
    return embedding


def held(use: EmbeddingUse) -> Embedding:
    """Return an embedding of a shot; `hold` must have read it before.

    Raises:
        RuntimeError: it was not read.
    """
    if use not in _held:
        raise RuntimeError(f"embedding '{use.name}' of a shot was not read")
    return _held[use]


@lru_cache(maxsize=4096)
def _read(path: Path, size: int, modified: int) -> Embedding:
    """Read a file; size and modification time are part of the cache's key, so that a replaced file is read again."""
    try:
        with reading.opened(path, f"embedding {path}") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UserError(f"embedding {path}: it has more than {_MOST_BYTES:,} bytes; this is no embedding")
        tensors = {name: _array(path, tensor) for name, tensor in deserialize(content)}
    except (SafetensorError, OSError) as error:
        raise UserError(f"embedding {path}: damaged, or not a safetensors file ({error})") from None
    vectors = _vectors(path, tensors)
    if not all(np.isfinite(part).all() for part in vectors):
        raise UserError(f"embedding {path}: it contains NaN or infinite values; download it again")
    return Embedding(path.stem, sha256_of_file(path), vectors)


def _vectors(path: Path, tensors: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    """Return the vectors for each text encoder of the family that the embedding was made for."""
    for family in registry.families():
        try:
            vectors = family.embedding_vectors(tensors)
        except ValueError as error:
            raise UserError(f"embedding {path}: {error}") from None
        if vectors is not None:
            return vectors
    names = ", ".join(sorted(tensors)[:3]) or "nothing"
    raise UserError(f"embedding {path}: not an embedding for {registry.titles()} (it has {names})")


def _array(path: Path, tensor: dict[str, Any]) -> NDArray[np.float32]:
    """Return a tensor of a file as float32. NumPy, because counting shots should not wait for torch's import."""
    dtype, data = tensor["dtype"], tensor["data"]
    if dtype == "BF16":  # the upper half of a float32
        values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    elif dtype in _DTYPES:
        with np.errstate(over="ignore"):  # a value too large becomes infinite, which is refused later
            values = np.frombuffer(data, _DTYPES[dtype]).astype(np.float32)
    else:
        raise UserError(
            f"embedding {path}: its numbers are of type {dtype}, which is not supported; convert it to F32"
        )
    return values.reshape(tensor["shape"])
