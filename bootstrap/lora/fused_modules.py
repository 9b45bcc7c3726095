"""Modules of LoRA files that hold the rows of several modules of the base model, such as `qkv`: split and joined.

A split module keeps the whole `down` and gets its rows of `up`; joined modules lie block by block in a larger `up`,
with the `down` matrices below each other. Both add the same as before, exactly: alpha grows with the rank.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from bootstrap.errors import UserError
from bootstrap.lora import alphas
from bootstrap.lora.changes import Difference, Dora, Glora, Ia3
from bootstrap.lora.modules import Change, LoraFile, LoraModule
from bootstrap.lora.rotations import InputRotation
from bootstrap.models.family import Family, FileModule

FileModules = Callable[[str], FileModule | None]


@dataclass
class _Contents:
    """The modules of a file that is being made."""

    modules: dict[str, LoraModule] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    biases: dict[str, torch.Tensor] = field(default_factory=dict)


def split(path: Path, lora: LoraFile, family: Family) -> LoraFile:
    """Return a file's content with the base model's modules in place of fused ones.

    Raises:
        UserError: the rows cannot be divided, or a module is there twice.
    """
    contents = _Contents(dict(lora.modules), dict(lora.changes), dict(lora.biases))
    for name in lora.names:
        found = _found(family.file_module, name)
        if found is None or name != found.name or found.own_names == (name,):
            continue
        twice = next((own for own in found.own_names if own in lora.names), None)
        if twice is not None:
            raise UserError(f"LoRA {path}: '{name}' and '{twice}' change the same module; get the file again")
        of_module = contents.modules.pop(name, None)
        of_change = contents.changes.pop(name, None)
        of_bias = contents.biases.pop(name, None)
        try:
            if of_module is not None:
                pieces = zip(found.own_names, _split_module(of_module, found), strict=True)
                contents.modules.update(pieces)
            if of_change is not None:
                contents.changes.update(zip(found.own_names, _split_change(of_change, found), strict=True))
            if of_bias is not None:
                contents.biases.update(zip(found.own_names, _rows(of_bias, found), strict=True))
        except ValueError as error:
            raise UserError(f"LoRA {path}: module '{name}' {error}") from None
    return replace(lora, modules=contents.modules, changes=contents.changes, biases=contents.biases)


def joined(lora: LoraFile, file_module: FileModules) -> LoraFile:
    """Return a LoRA with the modules and names that files of a format have.

    Args:
        file_module: Family.file_module or Family.comfyui_module, by the format.

    Raises:
        UserError: modules that are one in the file are of kinds that cannot be joined.
    """
    contents = _Contents()
    for name in lora.names:
        found = _found(file_module, name)
        if found is None or name == found.name:
            found = FileModule(name, name, (name,))
        if found.name in contents.modules or found.name in contents.changes or found.name in contents.biases:
            continue  # with another of its modules
        is_product = any(own in lora.modules for own in found.own_names)
        is_change = any(own in lora.changes for own in found.own_names)
        try:
            if is_product and is_change:
                raise ValueError("are partly LoRAs and partly not")
            if is_product:
                modules = [lora.modules.get(own) for own in found.own_names]
                contents.modules[found.name] = _joined_modules(modules, found)
            if is_change:
                changes = [lora.changes.get(own) for own in found.own_names]
                contents.changes[found.name] = _joined_changes(changes, found)
            biases = [lora.biases[own] for own in found.own_names if own in lora.biases]
            if biases:
                if len(biases) < len(found.own_names):
                    raise ValueError("do not all have a bias")
                contents.biases[found.name] = _joined_rows(biases, found)
        except ValueError as error:
            raise UserError(
                f"LoRA: {', '.join(found.own_names)} {error}, but are one module in files of this format; use the "
                "file as it is"
            ) from None
    return replace(lora, modules=contents.modules, changes=contents.changes, biases=contents.biases)


def joined_products(modules: Mapping[str, LoraModule], file_module: FileModules) -> dict[str, LoraModule]:
    """Do the same as `joined` for a LoRA without other changes."""
    return joined(LoraFile(dict(modules), {}), file_module).modules


def _found(file_module: FileModules, name: str) -> FileModule | None:
    try:
        return file_module(name)
    except ValueError:
        return None  # merging refuses what the base model does not have


def _rows(matrix: torch.Tensor, found: FileModule) -> list[torch.Tensor]:
    """Return the rows of each of the base model's modules."""
    count = len(found.own_names)
    if matrix.shape[0] % (2 if found.halves_swapped else count):
        raise ValueError(f"has {matrix.shape[0]} rows, which cannot be divided by {count}")
    if found.halves_swapped:
        first, second = matrix.chunk(2)
        return [torch.cat((second, first))]
    return [rows.contiguous() for rows in matrix.chunk(count)]


def _joined_rows(parts: Sequence[torch.Tensor], found: FileModule) -> torch.Tensor:
    if found.halves_swapped:
        first, second = parts[0].chunk(2)
        return torch.cat((second, first))
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def _split_module(module: LoraModule, found: FileModule) -> list[LoraModule]:
    parts = _rows(module.up, found)
    count, rank = len(parts), module.rank // len(parts)
    columns = [slice(number * rank, (number + 1) * rank) for number in range(count)]
    is_by_block = count > 1 and module.rank == count * rank and all(
        not up[:, other].any() for number, up in enumerate(parts) for other in columns if other != columns[number]
    )  # fmt: skip
    if is_by_block:  # joined from modules of a smaller rank
        return [
            LoraModule(module.down[own].contiguous(), up[:, own].contiguous(), module.alpha / count)
            for own, up in zip(columns, parts, strict=True)
        ]
    return [LoraModule(module.down, up, module.alpha) for up in parts]


def _joined_modules(modules: Sequence[LoraModule | None], found: FileModule) -> LoraModule:
    present = [module for module in modules if module is not None]
    first = present[0]
    if len(modules) == 1:
        return replace(first, up=_joined_rows([first.up], found))
    if any(module.up.shape[0] != first.up.shape[0] or module.shape != first.shape for module in present):
        raise ValueError("have different shapes")
    is_shared = len(present) == len(modules) and all(
        module.alpha == first.alpha and torch.equal(module.down, first.down) for module in present
    )
    if is_shared:
        return LoraModule(first.down, torch.cat([module.up for module in present]), first.alpha)
    scale = first.alpha / first.rank
    if not scale and any(module.alpha for module in present):
        raise ValueError("partly have an alpha of 0")
    scaled = [
        module if module is None or not scale else alphas.with_alpha(module, scale * module.rank)
        for module in modules
    ]
    rank, before, blocks = sum(module.rank for module in present), 0, []
    for module in scaled:
        block = first.up.new_zeros((first.up.shape[0], rank))
        if module is not None:
            block[:, before : before + module.rank] = module.up
            before += module.rank
        blocks.append(block)
    down = torch.cat([module.down for module in scaled if module is not None])
    return LoraModule(down, torch.cat(blocks), scale * rank)


def _split_change(change: Change, found: FileModule) -> list[Change]:
    count = len(found.own_names)
    if isinstance(change, Difference):
        return [replace(change, weight=rows) for rows in _rows(change.weight, found)]
    if isinstance(change, Dora) and change.magnitude.shape[1] == 1:
        ups = [replace(change.module, up=rows) for rows in _rows(change.module.up, found)]
        return [Dora(*both) for both in zip(ups, _rows(change.magnitude, found), strict=True)]
    if isinstance(change, Glora):
        return [replace(change, b1=rows) for rows in _rows(change.b1, found)]
    if isinstance(change, Ia3) and not change.on_input:
        return [replace(change, numbers=rows) for rows in _rows(change.numbers, found)]
    if isinstance(change, Ia3 | InputRotation):
        return [change] * count
    raise ValueError(
        f"is a {change.kind} of several modules together, which cannot be divided among them; train it again with "
        "LoRA"
    )


def _joined_changes(changes: Sequence[Change | None], found: FileModule) -> Change:
    present = [change for change in changes if change is not None]
    if len(present) == 1 == len(changes) and not found.halves_swapped:
        return present[0]
    differences = [change for change in present if isinstance(change, Difference)]
    if len(differences) == len(changes):
        return replace(differences[0], weight=_joined_rows([each.weight for each in differences], found))
    doras = [change for change in present if isinstance(change, Dora) and change.magnitude.shape[1] == 1]
    if len(doras) == len(changes):
        module = _joined_modules([dora.module for dora in doras], found)
        return Dora(module, _joined_rows([dora.magnitude for dora in doras], found))
    raise ValueError(f"are changed by {present[0].kind}, not all or not all alike")
