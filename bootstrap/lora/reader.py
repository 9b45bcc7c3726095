"""Reading a LoRA file's tensors, and making modules of them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.lora import building, header, lycoris, tensor_names
from bootstrap.lora.modules import LoraFile, LoraModule, Parts

# Dtypes that torch cannot compute with; float32 holds all their values.
_EIGHT_BITS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return a file's tensors in the order of their names, and its metadata.

    Raises:
        UserError: the file is missing, damaged or too large.
    """
    header.tensor_names(path)
    with reading.safetensors(path, f"LoRA {path}", header.REMEDY) as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    for name, tensor in tensors.items():
        if str(tensor.dtype).removeprefix("torch.") in _EIGHT_BITS:
            tensors[name] = tensor.float()
    return tensors, metadata


def sorted_out(
    path: Path, tensors: Mapping[str, torch.Tensor], name_of: Callable[[str], str]
) -> tuple[dict[str, Parts], dict[str, torch.Tensor]]:
    """Return the tensors of each module, and those of embeddings that the file brings along.

    Args:
        name_of: returns kohya's name of a module from what stands before the tensor's own name.

    Raises:
        UserError: a tensor belongs to no module, or two tensors are the same of one module.
    """
    modules: dict[str, Parts] = {}
    bundled: dict[str, torch.Tensor] = {}
    unknown = []
    for key, tensor in tensors.items():
        if key.startswith(tensor_names.BUNDLED):
            if key.endswith("_out"):
                raise UserError(
                    f"LoRA {path}: '{key}' is an embedding that is added to the text encoder's output, which is not "
                    "supported; train it without"
                )
            bundled[key] = tensor
        elif (split := tensor_names.split(key)) is None:
            unknown.append(key)
        else:
            parts = modules.setdefault(name_of(split[0]), {})
            if split[1] in parts:
                raise UserError(
                    f"LoRA {path}: '{key}' is there twice, under two names of the same module; {header.REMEDY}"
                )
            parts[split[1]] = tensor
    if unknown:
        raise UserError(
            f"LoRA {path}: '{unknown[0]}' is not part of a LoRA ({len(unknown)} tensors are not recognized)"
        )
    return modules, bundled


def built(
    path: Path,
    modules: dict[str, Parts],
    bundled: dict[str, torch.Tensor],
    metadata: dict[str, str],
    kernel_size: Callable[[str], int | None],
    rules: building.Rules,
) -> LoraFile:
    """Return the content of a file.

    Args:
        kernel_size: returns the side of the kernel of a module that is known to be a convolution.

    Raises:
        UserError: see building.build; or the file changes nothing.
    """
    if not modules and not bundled:
        raise UserError(f"LoRA {path}: it has no modules")
    building.check_sizes(path, modules)
    made = {
        name: building.build(path, name, parts, kernel_size(name), rules) for name, parts in modules.items()
    }
    products = {name: each.module for name, each in made.items() if each.module is not None}
    if rules.rs_lora:  # every alpha contains it now
        rest = {key: value for key, value in _network_args(metadata).items() if key != "rs_lora"}
        metadata = {**metadata, "ss_network_args": json.dumps(rest)}
    if any(lycoris.kind_of(set(parts)) for parts in modules.values()):
        metadata = _metadata_as_lora(metadata, products)
    return LoraFile(
        products,
        metadata,
        {name: each.change for name, each in made.items() if each.change is not None},
        {name: each.bias for name, each in made.items() if each.bias is not None},
        bundled,
    )


def uses_rs_lora(metadata: Mapping[str, str]) -> bool:
    """Whether kohya's metadata say that LyCORIS trained with `rs_lora`, which only a GLoRA's alpha does not contain."""
    return str(_network_args(metadata).get("rs_lora", "")).lower() in ("true", "1", "yes")


def _network_args(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        stated = reading.parse_json(metadata.get("ss_network_args", "{}"), "ss_network_args", header.REMEDY)
    except UserError:
        return {}
    return stated if isinstance(stated, dict) else {}


def _metadata_as_lora(metadata: dict[str, str], modules: Mapping[str, LoraModule]) -> dict[str, str]:
    """Return a LyCORIS file's metadata with module type, rank and alpha of the LoRA that it was read as."""
    unchanged = {key: value for key, value in metadata.items() if key != "ss_network_args"}
    if not modules:
        return metadata
    largest = max(modules.values(), key=lambda module: module.rank)
    size = {"ss_network_dim": str(largest.rank), "ss_network_alpha": str(largest.alpha)}
    return unchanged | size | {"ss_network_module": "networks.lora"}
