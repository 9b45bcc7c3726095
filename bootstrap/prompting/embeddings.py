"""Textual-inversion embeddings: vectors that stand in a prompt where their name does.

Layouts of a .safetensors file: one tensor (vectors, width) of any name for Stable Diffusion 1.x; `clip_l` and `clip_g`
for XL's two text encoders. Source: stable-diffusion-webui, modules/textual_inversion/textual_inversion.py,
`create_embedding_from_data`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.shots import EmbeddingUse

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
LONGEST = 75  # vectors: more do not fit into a chunk


@dataclass(frozen=True, eq=False)
class Embedding:
    """An embedding that was read."""

    name: str  # by which prompts call it: the file's without ending
    sha256: str  # of the file
    vectors: tuple[NDArray[np.float32], ...]  # (vectors, width), float32; two for Stable Diffusion XL

    @property
    def count(self) -> int:
        """How many vectors it has; it takes the place of as many tokens."""
        return len(self.vectors[0])

    @property
    def use(self) -> EmbeddingUse:
        """What a shot keeps of it."""
        return EmbeddingUse(self.name, self.sha256)

    def fits(self, widths: Sequence[int]) -> bool:
        """Whether it was made for text encoders of these widths; AUTOMATIC1111 leaves out those that were not."""
        return [vectors.shape[1] for vectors in self.vectors] == list(widths)


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
    if set(tensors) == {"clip_l", "clip_g"}:
        parts = [tensors["clip_l"], tensors["clip_g"]]
    elif len(tensors) == 1:
        parts = list(tensors.values())
    else:
        names = ", ".join(sorted(tensors)[:3]) or "nothing"
        raise UserError(
            f"embedding {path}: no embedding of Stable Diffusion 1.x or XL, which has one tensor, or clip_l and "
            f"clip_g (it has {names})"
        )
    parts = [part[None] if part.ndim == 1 else part for part in parts]
    if any(part.ndim != 2 or len(part) != len(parts[0]) for part in parts):
        raise UserError(f"embedding {path}: its tensors are no lists of vectors of the same length")
    if not 1 <= len(parts[0]) <= LONGEST:
        raise UserError(f"embedding {path}: it has {len(parts[0])} vectors; 1 to {LONGEST} can be used")
    if not all(np.isfinite(part).all() for part in parts):
        raise UserError(f"embedding {path}: it has values that are no numbers; fetch it again")
    return Embedding(path.stem, sha256_of_file(path), tuple(parts))


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
