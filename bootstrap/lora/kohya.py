"""LoRA files in kohya's format, which AUTOMATIC1111, ComfyUI, Forge and diffusers read.

A module has three tensors: `<name>.lora_down.weight` (rank, in[, k, k]), `<name>.lora_up.weight` (out, rank[, 1, 1])
and `<name>.alpha` (a scalar); it adds `alpha / rank * up @ down` to the module's weight. k is 1, or 3 for a LoCon's
convolutions. Source: sd-scripts, networks/lora.py. LyCORIS' kinds are read too, see lycoris.py and changes.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save

from bootstrap import reading, tensor_files
from bootstrap.errors import UserError
from bootstrap.lora import fused_modules, header, reader
from bootstrap.lora.building import Rules
from bootstrap.lora.modules import LoraFile, LoraModule
from bootstrap.models import registry

__all__ = ["LoraFile", "LoraModule", "dtype_of", "model_hash", "own_metadata", "read", "write"]


def write(
    path: Path,
    modules: Mapping[str, LoraModule],
    metadata: Mapping[str, str],
    dtype: torch.dtype = torch.float16,
    others: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a LoRA file atomically, with kohya's two hashes added to the metadata.

    Args:
        modules: by kohya's name; those that are one module in the family's files are joined.
        metadata: `ss_*` and `modelspec.*` entries.
        dtype: of all tensors in the file, including alphas, except for a joined module's that has more digits.
        others: further tensors by their names in the file.
    """
    rounded = {
        name: replace(module, alpha=float(torch.tensor(module.alpha, dtype=dtype)))
        for name, module in modules.items()
    }
    family = registry.of_lora(modules)
    if family is not None:
        rounded = fused_modules.joined_products(rounded, family.file_module)
    tensors = {}
    for name, module in rounded.items():
        tensors[f"{name}.lora_down.weight"] = module.down.detach().to("cpu", dtype).contiguous()
        tensors[f"{name}.lora_up.weight"] = module.up.detach().to("cpu", dtype).contiguous()
        alpha = torch.tensor(module.alpha, dtype=dtype)
        is_whole = float(alpha) == module.alpha
        tensors[f"{name}.alpha"] = alpha if is_whole else torch.tensor(module.alpha, dtype=torch.float32)
    for name, tensor in (others or {}).items():
        tensors[name] = tensor.detach().to("cpu", dtype).contiguous()
    tensor_files.write(path, tensors, {**metadata, **_hashes(tensors, metadata)})


def tensors_of_changes(lora: LoraFile) -> dict[str, torch.Tensor]:
    """Return the tensors of what a file does besides its products, by their names in a file of kohya's format."""
    tensors = {
        f"{name}.{key}": part for name, change in lora.changes.items() for key, part in change.parts.items()
    }
    for name, bias in lora.biases.items():
        is_norm = name in lora.changes and lora.changes[name].kind == "norm"
        tensors[f"{name}.{'b_norm' if is_norm else 'diff_b'}"] = bias
    return tensors | dict(lora.embeddings)


def _hashes(tensors: dict[str, torch.Tensor], metadata: Mapping[str, str]) -> dict[str, str]:
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
    """Read a LoRA file in kohya's format; the names of its modules stay as they are.

    Raises:
        UserError: the file is missing, damaged or in another format, or a module is incomplete or unusable.
    """
    tensors, metadata = reader.read_tensors(path)
    modules, bundled = reader.sorted_out(path, tensors, lambda stem: stem)
    strange = next((name for name in modules if "." in name), None)
    if strange is not None:
        raise UserError(f"LoRA {path}: '{strange}' is not the name of a module in kohya's format")
    family = registry.of_lora(modules)

    def kernel_size(name: str) -> int | None:
        return family.kernel_size(name) if family else None

    rules = Rules(rs_lora=reader.uses_rs_lora(metadata))
    return reader.built(path, modules, bundled, metadata, kernel_size, rules)


def dtype_of(lora: LoraFile) -> torch.dtype:
    """Return the dtype of a LoRA's tensors."""
    if lora.modules:
        return next(iter(lora.modules.values())).down.dtype
    dtypes = [tensor.dtype for tensor in tensors_of_changes(lora).values() if tensor.dim()]
    return next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)


def own_metadata(lora: LoraFile) -> dict[str, str]:
    """Return a LoRA's metadata without the old file's hashes, and with defaults for required entries such as rank."""
    first, family = next(iter(lora.modules.values()), None), registry.of_lora(lora.names)
    family_metadata = {} if family is None else family.lora_metadata
    required = {
        "ss_network_module": "networks.lora" if first is not None and not lora.changes else "lycoris.kohya",
        **({"ss_network_dim": str(first.rank), "ss_network_alpha": str(first.alpha)} if first else {}),
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
