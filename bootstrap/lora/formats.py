"""LoRA files of every dialect, kohya's, LyCORIS', diffusers', PEFT's, ComfyUI's; all are read under kohya's names.

Sources: diffusers, loaders/lora_base.py and lora_pipeline.py (key names, `lora_adapter_metadata`); PEFT,
utils/save_and_load.py (`base_model.model.` prefix, adapter_config.json beside the weights); ComfyUI, comfy/lora.py.
"""

from pathlib import Path

import torch

from bootstrap import tensor_files
from bootstrap.errors import UserError
from bootstrap.lora import alphas, bundled_embeddings, fused_modules, header, reader, tensor_names
from bootstrap.lora.adapter_settings import AdapterSettings
from bootstrap.lora.building import Rules
from bootstrap.lora.header import format_of
from bootstrap.lora.modules import LoraFile
from bootstrap.models import registry
from bootstrap.models.family import Family

__all__ = ["format_of", "kind_of", "read", "write_comfyui", "write_diffusers"]


def kind_of(path: Path) -> str:
    """Return the kinds of a file's modules, such as "LoRA" or "LoHa, norm".

    Raises:
        UserError: it is missing, damaged or not a LoRA.
    """
    return ", ".join(header.kinds_of(header.recognized(path).shapes)) or "embedding"


def read(path: Path) -> LoraFile:
    """Read a LoRA file of any dialect; every module has its own rank and alpha, and each tensor is used.

    Raises:
        UserError: see header.drawable; or a module is incomplete or unusable, or a tensor is not known.
    """
    found, family = header.drawable(path)
    tensors, metadata = reader.read_tensors(path)
    # Other tools write kohya's format with diffusers' block names for Stable Diffusion XL, with `lora_te1_` for 1.x, or
    # without `text_model`: all get the names of kohya's own files.
    places: dict[str, tuple[str, str]] = {}  # path and part by kohya's name, of modules with names of paths

    def name_of(stem: str) -> str:
        try:
            if "." not in stem and stem.startswith((*family.kohya_prefixes, header.WRAPPED)):
                return family.kohya_name(*family.module_path(stem))
            place = family.stem_path(stem)
        except ValueError:
            return stem  # merging refuses what the base model does not have
        name = family.kohya_name(*place)
        places[name] = place
        return name

    modules, bundled = reader.sorted_out(path, tensors, name_of)
    settings = AdapterSettings.of_file(path, found.format, family, metadata)
    needs_alpha = False
    for key in filter(tensor_names.needs_config, tensors):
        split = tensor_names.split(key)
        needs_alpha |= split is not None and "alpha" not in modules[name_of(split[0])]
    if found.format == "peft" and needs_alpha and not settings.by_part:
        raise UserError(
            f"LoRA {path}: PEFT's adapter_config.json, the only source of alpha, is missing; put it beside the file"
        )
    for name, (inner, part) in places.items():
        if "alpha" not in modules[name]:
            alpha = settings.alpha_of(inner, part, modules[name])
            if alpha is not None:
                modules[name]["alpha"] = torch.tensor(alpha, dtype=torch.float64)
    rules = Rules(
        is_peft=bool(settings.by_part) and found.format == "peft",
        rank=settings.rank if found.format == "peft" else None,
        rs_lora=reader.uses_rs_lora(metadata),
        neumann_terms=settings.neumann_terms,
    )
    whole = reader.built(path, modules, bundled, metadata, family.kernel_size, rules)
    lora = fused_modules.split(path, whole, family)
    bundled_embeddings.check(path, family, lora.embeddings)
    return lora


def write_diffusers(path: Path, lora: LoraFile) -> None:
    """Write a LoRA in diffusers' format, with alpha / rank multiplied into the matrices.

    Readers of this format look for alpha in different places, and some not at all; with a factor of one, all of them
    are right, also for modules of different ranks.

    Raises:
        UserError: a module belongs to no family, or is of a kind that the format has no names for.
    """
    family = _family_of_products(lora, "diffusers'")
    tensors: dict[str, torch.Tensor] = {}
    for name, module in lora.modules.items():
        try:
            inner, part = family.module_path(name)
        except ValueError as error:
            raise UserError(f"LoRA: {error}") from None
        down, up = family.matrix_names(part)
        scaled = alphas.with_alpha(module, float(module.rank))
        tensors[f"{part}.{inner}{down}"] = scaled.down.contiguous()
        tensors[f"{part}.{inner}{up}"] = scaled.up.contiguous()
    tensor_files.write(path, tensors, {"format": "pt"})


def write_comfyui(path: Path, lora: LoraFile) -> None:
    """Write a LoRA as ai-toolkit does: under ComfyUI's paths, with alpha / rank multiplied into the matrices.

    Raises:
        UserError: a module belongs to no family whose files have such paths, or is no product of two matrices.
    """
    family = _family_of_products(lora, "ComfyUI's")
    tensors: dict[str, torch.Tensor] = {}
    scaled = {name: alphas.with_alpha(module, float(module.rank)) for name, module in lora.modules.items()}
    try:
        for name, module in fused_modules.joined_products(scaled, family.comfyui_module).items():
            found = family.comfyui_module(name)
            if found is None:
                raise UserError(
                    f"--to comfyui: ComfyUI loads LoRAs of {family.title} in kohya's format; use --to kohya"
                )
            tensors[f"diffusion_model.{found.path}.lora_A.weight"] = module.down.contiguous()
            tensors[f"diffusion_model.{found.path}.lora_B.weight"] = module.up.contiguous()
    except ValueError as error:
        raise UserError(f"LoRA: {error}") from None
    tensor_files.write(path, tensors, {"format": "pt"})


def _family_of_products(lora: LoraFile, title: str) -> Family:
    """Return a LoRA's family.

    Raises:
        UserError: it has none, or a module is of a kind that only kohya's format has names for.
    """
    family = registry.of_lora(lora.names)
    if family is None:
        raise UserError(f"LoRA: '{next(iter(lora.names), '')}' is not a module of {registry.titles()}")
    for name in (*lora.changes, *lora.biases, *lora.embeddings):
        kind = lora.changes[name].kind if name in lora.changes else "difference of a bias or an embedding"
        raise UserError(
            f"LoRA: '{name}' is a {kind}, for which {title} format has no names; convert to kohya's"
        )
    return family
