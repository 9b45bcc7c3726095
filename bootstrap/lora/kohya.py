"""LoRA files in kohya's format, which AUTOMATIC1111, ComfyUI, Forge and diffusers read.

A module has three tensors: `<name>.lora_down.weight` (rank, in[, k, k]), `<name>.lora_up.weight` (out, rank[, 1, 1])
and `<name>.alpha` (a scalar); it adds `alpha / rank * up @ down` to the module's weight. k is 1, or 3 for a LoCon's
convolutions. Source: sd-scripts, networks/lora.py. LyCORIS' kinds are read too, see lycoris.py.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from bootstrap import reading, tensor_files
from bootstrap.errors import UserError
from bootstrap.lora import header, lycoris
from bootstrap.models import registry

_PARTS = {"lora_down.weight", "lora_up.weight", "alpha", *lycoris.LOHA, *lycoris.LOKR, lycoris.MIDDLE}


@dataclass(frozen=True)
class LoraModule:
    """The matrices and alpha of one module of a LoRA."""

    down: torch.Tensor  # (rank, in) or (rank, in, k, k)
    up: torch.Tensor  # (out, rank) or (out, rank, 1, 1)
    alpha: float

    @property
    def rank(self) -> int:
        """The inner dimension; kohya's network_dim."""
        return int(self.down.shape[0])

    def to(self, device: torch.device) -> "LoraModule":
        """Return a copy on a device."""
        return LoraModule(self.down.to(device), self.up.to(device), self.alpha)

    def delta(self) -> torch.Tensor:
        """Return `alpha / rank * up @ down`, float32, in the shape of the module's weight."""
        up, down = self.up.float().flatten(1), self.down.float().flatten(1)
        return (self.alpha / self.rank) * (up @ down).reshape(self.up.shape[0], *self.down.shape[1:])


@dataclass(frozen=True)
class LoraFile:
    """The content of a LoRA file."""

    modules: dict[str, LoraModule]  # by kohya's name of the module
    metadata: dict[str, str]


def write(
    path: Path, modules: dict[str, LoraModule], metadata: dict[str, str], dtype: torch.dtype = torch.float16
) -> None:
    """Write a LoRA file atomically, with kohya's two hashes added to the metadata.

    Args:
        modules: by kohya's name.
        metadata: `ss_*` and `modelspec.*` entries.
        dtype: of all tensors in the file, including alphas.
    """
    tensors = {}
    for name, module in modules.items():
        tensors[f"{name}.lora_down.weight"] = module.down.detach().to("cpu", dtype).contiguous()
        tensors[f"{name}.lora_up.weight"] = module.up.detach().to("cpu", dtype).contiguous()
        tensors[f"{name}.alpha"] = torch.tensor(module.alpha, dtype=dtype)
    tensor_files.write(path, tensors, {**metadata, **_hashes(tensors, metadata)})


def _hashes(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> dict[str, str]:
    """Return the two hashes by which other tools identify a LoRA, of the file without them.

    Source: sd-scripts, library/train_util.py, `precalculate_safetensors_hashes`: of the metadata, only `ss_*` entries.
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
        UserError: the file is missing, damaged or in another format, or a module is incomplete or unusable.
    """
    reading.require_file(path, f"LoRA {path}")
    with reading.safetensors(path, f"LoRA {path}", header.REMEDY) as file:
        metadata = dict(file.metadata() or {})
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
    parts: dict[str, lycoris.Parts] = {}
    for key in sorted(tensors):
        name, _, part = key.partition(".")
        if part not in _PARTS:
            raise UserError(
                f"LoRA {path}: '{key}' is not part of a LoRA in kohya's format or of LyCORIS' LoCon, LoHa or LoKr"
            )
        parts.setdefault(name, {})[part] = tensors[key]
    family = registry.of_lora(parts)
    _check_sizes(path, parts)
    sizes = {name: family.kernel_size(name) if family else None for name in parts}
    modules = {name: _module(path, name, tensors, sizes[name]) for name, tensors in parts.items()}
    if not modules:
        raise UserError(f"LoRA {path}: it has no modules")
    if any(lycoris.kind_of(set(suffixes)) for suffixes in parts.values()):
        metadata = _metadata_as_lora(metadata, modules)
    return LoraFile(modules, metadata)


def _check_sizes(path: Path, modules: dict[str, lycoris.Parts]) -> None:
    """Refuse LyCORIS modules whose small factors multiply out to more than any base model has, before computing one."""
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
            continue  # _module reports it
        if numbers > lycoris.MOST_IN_ALL:
            raise UserError(
                f"LoRA {path}: its factors multiply to more than {4 * lycoris.MOST_IN_ALL >> 30} GiB, more than any "
                "base model has"
            )


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
    """Return a LyCORIS file's metadata with module type, rank and alpha of the LoRA that it was read as."""
    unchanged = {key: value for key, value in metadata.items() if key != "ss_network_args"}
    largest = max(modules.values(), key=lambda module: module.rank)
    size = {"ss_network_dim": str(largest.rank), "ss_network_alpha": str(largest.alpha)}
    return unchanged | size | {"ss_network_module": "networks.lora"}


def checked_module(
    path: Path, name: str, down: torch.Tensor, up: torch.Tensor, alpha: torch.Tensor | float | None
) -> LoraModule:
    """Return a module read from a file; alpha defaults to the rank, which is a scale of 1.

    Raises:
        UserError: the matrices do not fit together, or contain values that are not finite.
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
    # The float32 sum is finite exactly if all values are: float16 values are at most 65504, so they cannot overflow it.
    if not (math.isfinite(number) and torch.isfinite(down.float().sum() + up.float().sum())):
        raise UserError(
            f"LoRA {path}: module '{name}' has NaN or infinite values, because its training diverged; use an earlier "
            "snapshot"
        )
    return LoraModule(down, up, number)


def dtype_of(lora: LoraFile) -> torch.dtype:
    """Return the dtype of a LoRA's tensors."""
    return next(iter(lora.modules.values())).down.dtype


def own_metadata(lora: LoraFile) -> dict[str, str]:
    """Return a LoRA's metadata without the old file's hashes, and with defaults for required entries such as rank."""
    first, family = next(iter(lora.modules.values())), registry.of_lora(lora.modules)
    family_metadata = {} if family is None else family.lora_metadata
    required = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(first.rank),
        "ss_network_alpha": str(first.alpha),
        **{key: value for key, value in family_metadata.items() if key.startswith("ss_")},
        "ss_v2": "False",
    }
    stored = {key: value for key, value in lora.metadata.items() if key.startswith(("ss_", "modelspec."))}
    return {**required, **stored}


def model_hash(path: Path) -> str:
    """Return `sshs_model_hash` of a LoRA file; infotext shows its first 12 digits.

    Raises:
        UserError: the file is damaged.
    """
    found = reading.safetensors_header(path, f"LoRA {path}", header.REMEDY)
    stored = found.metadata.get("sshs_model_hash")
    if stored:
        return stored
    with reading.opened(path, f"LoRA {path}") as file:
        file.seek(found.begin)
        return hashlib.file_digest(file, "sha256").hexdigest()
