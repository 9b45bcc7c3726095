"""The LoRA file in kohya's format, which AUTOMATIC1111, ComfyUI, Forge and diffusers read.

A module has three tensors: `<name>.lora_down.weight` (rank, in[, k, k]), `<name>.lora_up.weight`
(out, rank[, 1, 1]) and `<name>.alpha` (one number); it adds `alpha / rank * up @ down` to the module's
weight. k is 1, and of a LoCon's convolutions 3. Source: sd-scripts, networks/lora.py. LyCORIS' kinds are read too, see
lycoris.py.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file

from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.lora import lycoris
from bootstrap.models import registry

_PARTS = {"lora_down.weight", "lora_up.weight", "alpha", *lycoris.LOHA, *lycoris.LOKR, lycoris.MIDDLE}


@dataclass(frozen=True)
class LoraModule:
    """What a LoRA adds to one module."""

    down: torch.Tensor  # (rank, in) or (rank, in, k, k)
    up: torch.Tensor  # (out, rank) or (out, rank, 1, 1)
    alpha: float

    @property
    def rank(self) -> int:
        """The inner dimension; kohya's network_dim."""
        return int(self.down.shape[0])

    def to(self, device: torch.device) -> "LoraModule":
        """Return the same on a device."""
        return LoraModule(self.down.to(device), self.up.to(device), self.alpha)

    def delta(self) -> torch.Tensor:
        """Return `alpha / rank * up @ down`, float32, in the shape of the module's weight."""
        up, down = self.up.float().flatten(1), self.down.float().flatten(1)
        return (self.alpha / self.rank) * (up @ down).reshape(self.up.shape[0], *self.down.shape[1:])


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file that was read."""

    modules: dict[str, LoraModule]  # by kohya's name of the module
    metadata: dict[str, str]


def write(
    path: Path, modules: dict[str, LoraModule], metadata: dict[str, str], dtype: torch.dtype = torch.float16
) -> None:
    """Write a LoRA file, whole or not at all, with kohya's two hashes added to the metadata.

    Args:
        modules: by kohya's name.
        metadata: `ss_*` and `modelspec.*` entries.
        dtype: of all tensors in the file, alphas included.
    """
    tensors = {}
    for name, module in modules.items():
        tensors[f"{name}.lora_down.weight"] = module.down.detach().to("cpu", dtype).contiguous()
        tensors[f"{name}.lora_up.weight"] = module.up.detach().to("cpu", dtype).contiguous()
        tensors[f"{name}.alpha"] = torch.tensor(module.alpha, dtype=dtype)
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {**metadata, **_hashes(tensors, metadata)})


def _hashes(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> dict[str, str]:
    """The two hashes by which other tools know a LoRA, of the file as it is without them.

    Source: sd-scripts, library/train_util.py, `precalculate_safetensors_hashes`: over the `ss_*` entries alone.
    """
    data = save(tensors, {key: value for key, value in metadata.items() if key.startswith("ss_")})
    body = data[8 + int.from_bytes(data[:8], "little") :]
    legacy = data[0x100000 : 0x100000 + 0x10000]
    return {
        "sshs_model_hash": hashlib.sha256(body).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(legacy).hexdigest()[:8],
    }


def read(path: Path) -> LoraFile:
    """Read a LoRA file in kohya's format.

    Raises:
        UserError: the file is missing or damaged, is in another format, or a module lacks one of its parts or is
            none that can be computed with.
    """
    if not path.is_file():
        raise UserError(f"LoRA {path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"LoRA {path}: damaged, or no safetensors file ({error})") from None
    parts: dict[str, lycoris.Parts] = {}
    for key in sorted(tensors):
        name, _, part = key.partition(".")
        if part not in _PARTS:
            raise UserError(
                f"LoRA {path}: '{key}' is no part of a LoRA in kohya's format or of LyCORIS' LoCon, LoHa or LoKr"
            )
        parts.setdefault(name, {})[part] = tensors[key]
    family = registry.of_lora(parts)
    sizes = {name: family.kernel_size(name) if family else None for name in parts}
    modules = {name: _module(path, name, own, sizes[name]) for name, own in parts.items()}
    if not modules:
        raise UserError(f"LoRA {path}: it has no modules")
    if any(lycoris.kind_of(set(own)) for own in parts.values()):
        metadata = _metadata_as_lora(metadata, modules)
    return LoraFile(modules, metadata)


def _module(path: Path, name: str, parts: lycoris.Parts, kernel_size: int | None) -> LoraModule:
    kind = lycoris.kind_of(set(parts))
    if kind is not None:
        try:
            down, up, number = lycoris.as_lora(parts, kernel_size)
        except KeyError as error:
            raise UserError(f"LoRA {path}: module '{name}' is a {kind}, but has no {error.args[0]}") from None
        except RuntimeError as error:
            shapes = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in sorted(parts.items()))
            raise UserError(
                f"LoRA {path}: the tensors of module '{name}' do not fit together: {shapes}"
            ) from error
        return checked_module(path, name, down, up, number)
    if "lora_down.weight" not in parts or "lora_up.weight" not in parts:
        raise UserError(
            f"LoRA {path}: module '{name}' has no lora_down or lora_up; it is not in kohya's format"
        )
    return checked_module(path, name, parts["lora_down.weight"], parts["lora_up.weight"], parts.get("alpha"))


def _metadata_as_lora(metadata: dict[str, str], modules: dict[str, LoraModule]) -> dict[str, str]:
    """What a file says of itself, with the size of the plain LoRA that it was read as."""
    kept = {key: value for key, value in metadata.items() if key != "ss_network_args"}
    largest = max(modules.values(), key=lambda module: module.rank)
    size = {"ss_network_dim": str(largest.rank), "ss_network_alpha": str(largest.alpha)}
    return kept | size | {"ss_network_module": "networks.lora"}


def checked_module(
    path: Path, name: str, down: torch.Tensor, up: torch.Tensor, alpha: torch.Tensor | float | None
) -> LoraModule:
    """Return a module that was read from a file; without alpha it counts in full.

    Raises:
        UserError: the matrices do not fit together, or there are values that are no finite numbers.
    """
    fits = (
        down.dim() in (2, 4)
        and up.dim() in (2, 4)
        and up.shape[1] == down.shape[0] >= 1
        and all(side == 1 for side in up.shape[2:])
    )
    if not fits:
        raise UserError(
            f"LoRA {path}: module '{name}' has matrices that do not fit together, down {tuple(down.shape)} and up "
            f"{tuple(up.shape)}"
        )
    if isinstance(alpha, torch.Tensor) and alpha.numel() != 1:
        raise UserError(f"LoRA {path}: the alpha of module '{name}' is not one number")
    number = float(down.shape[0] if alpha is None else alpha)
    # A sum in single precision is finite just when all of these are: half precision reaches to 65504 only.
    if not (math.isfinite(number) and torch.isfinite(down.float().sum() + up.float().sum())):
        raise UserError(
            f"LoRA {path}: module '{name}' has values that are no finite numbers; the training that made it went "
            "astray, take an earlier snapshot"
        )
    return LoraModule(down, up, number)


def dtype_of(lora: LoraFile) -> torch.dtype:
    """Return the type of a LoRA's tensors."""
    return next(iter(lora.modules.values())).down.dtype


def own_metadata(lora: LoraFile) -> dict[str, str]:
    """Return a file's metadata without the hashes, which are of the old file; never without rank and alpha."""
    first, family = next(iter(lora.modules.values())), registry.of_lora(lora.modules)
    made_for = {} if family is None else family.lora_metadata
    needed = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(first.rank),
        "ss_network_alpha": str(first.alpha),
        **{key: value for key, value in made_for.items() if key.startswith("ss_")},
        "ss_v2": "False",
    }
    kept = {k: v for k, v in lora.metadata.items() if k.startswith(("ss_", "modelspec."))}
    return {**needed, **kept}


def model_hash(path: Path) -> str:
    """Return `sshs_model_hash` of a LoRA file, whose first 12 digits infotext calls its hash."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        stored = json.loads(file.read(length)).get("__metadata__", {}).get("sshs_model_hash")
        if stored:
            return str(stored)
        return hashlib.file_digest(file, "sha256").hexdigest()
