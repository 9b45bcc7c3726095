"""LoRA files in the common formats, kohya's, diffusers' and PEFT's; all are read into kohya's modules.

Sources: diffusers, loaders/lora_base.py and lora_pipeline.py (key names, `lora_adapter_metadata`); PEFT,
utils/save_and_load.py (`base_model.model.` prefix, adapter_config.json beside the weights).
"""

import math
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from bootstrap import reading, tensor_files
from bootstrap.errors import UserError
from bootstrap.lora import kohya, lycoris
from bootstrap.lora.alpha_patterns import AlphaPatterns
from bootstrap.lora.header import REMEDY, format_of, tensor_names
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.models import registry
from bootstrap.models.family import Family

# Suffixes after the module's path: (down matrix, up matrix).
_SUFFIXES = (
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),  # attn1.processor.to_q_lora...
)


def kind_of(path: Path) -> str:
    """Return a LoRA file's kind: "LoRA", or one of LyCORIS' kinds, which are read as an equivalent LoRA.

    Raises:
        UserError: it is missing or damaged.
    """
    return lycoris.kind_of({name.partition(".")[2] for name in tensor_names(path)}) or "LoRA"


def read(path: Path) -> LoraFile:
    """Read a LoRA file in any of the formats; every module has its own rank and alpha.

    Raises:
        UserError: see format_of; or a part of a module is missing.
    """
    dialect = format_of(path)
    if dialect == "kohya":
        return _with_kohyas_names(kohya.read(path))
    with reading.safetensors(path, f"LoRA {path}", REMEDY) as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    family = registry.of_lora(tensors)
    assert family is not None
    settings = _diffusers_settings(path, metadata) if dialect == "diffusers" else _peft_settings(path, family)
    patterns = {part: _patterns(path, of_part) for part, of_part in settings.items()}
    modules: dict[str, LoraModule] = {}
    used: set[str] = set()
    for key, down in tensors.items():
        for down_suffix, up_suffix in _SUFFIXES:
            if not key.endswith(down_suffix):
                continue
            stem = key.removesuffix(down_suffix)
            up = tensors.get(stem + up_suffix)
            if up is None:
                raise UserError(f"LoRA {path}: '{stem}' has a down matrix but no up matrix")
            inner, part = family.stem_path(stem)
            alpha: torch.Tensor | float | None = tensors.get(f"{stem}.alpha")
            if alpha is None:
                alpha = _alpha(settings.get(part, _Settings()), patterns.get(part), inner, down.shape[0])
            name = family.kohya_name(inner, part)
            modules[name] = kohya.checked_module(path, name, down, up, alpha)
            used |= {key, stem + up_suffix, f"{stem}.alpha"}
            break
    unused = sorted(set(tensors) - used)
    if unused:
        raise UserError(
            f"LoRA {path}: '{unused[0]}' is not part of a LoRA ({len(unused)} tensors are not recognized)"
        )
    return LoraFile(modules, metadata)


def write_diffusers(path: Path, lora: LoraFile) -> None:
    """Write a LoRA in diffusers' format, with alpha / rank multiplied into the up matrices.

    Readers of this format look for alpha in different places, and some not at all; with a factor of one, all of them
    are right, also for modules of different ranks.

    Raises:
        UserError: a module belongs to no family.
    """
    tensors: dict[str, torch.Tensor] = {}
    family = registry.of_lora(lora.modules)
    if family is None:
        raise UserError(f"LoRA: '{next(iter(lora.modules))}' is not a module of {registry.titles()}")
    for name, module in lora.modules.items():
        try:
            inner, part = family.module_path(name)
        except ValueError as error:
            raise UserError(f"LoRA: {error}") from None
        down, up = family.matrix_names(part)
        factor = module.alpha / module.rank
        tensors[f"{part}.{inner}{down}"] = module.down.contiguous()
        tensors[f"{part}.{inner}{up}"] = (module.up.float() * factor).to(module.up.dtype).contiguous()
    tensor_files.write(path, tensors, {"format": "pt"})


def _with_kohyas_names(lora: LoraFile) -> LoraFile:
    """Return the LoRA with the module names of kohya's own files.

    Other tools write kohya's format with diffusers' block names for Stable Diffusion XL, with `lora_te1_` for 1.x, or
    without `text_model`. A name that cannot be converted stays.
    """
    family, modules = registry.of_lora(lora.modules), {}
    assert family is not None
    for name, module in lora.modules.items():
        try:
            modules[family.kohya_name(*family.module_path(name))] = module
        except ValueError:
            modules[name] = module
    return LoraFile(modules, lora.metadata)


_Alpha = Annotated[float, Field(allow_inf_nan=False)]


class _Settings(BaseModel):
    """What decides a module's alpha in PEFT's LoraConfig; its other keys do not matter here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    lora_alpha: _Alpha | None = None
    alpha_pattern: dict[Annotated[str, Field(max_length=500)], _Alpha] | None = None
    use_rslora: bool | None = None


def _diffusers_settings(path: Path, metadata: dict[str, str]) -> dict[str, _Settings]:
    """Return {part: settings} from `lora_adapter_metadata`, with keys `unet.r`, `text_encoder.lora_alpha`, ..."""
    where, remedy = f"LoRA {path}: its lora_adapter_metadata, the only source of alpha", "get the file again"
    text = metadata.get("lora_adapter_metadata", "{}")
    flat = reading.shaped(dict[str, Any], reading.parse_json(text, where, remedy), where, remedy)
    by_part: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        part, _, name = key.partition(".")
        by_part.setdefault(part, {})[name] = value
    return {
        part: reading.shaped(_Settings, values, f"{where}: {part}", remedy)
        for part, values in by_part.items()
    }


def _peft_settings(path: Path, family: Family) -> dict[str, _Settings]:
    config = path.with_name("adapter_config.json")
    if not config.is_file():
        raise UserError(
            f"LoRA {path}: PEFT's adapter_config.json, the only source of alpha, is missing; put it beside the file"
        )
    where, remedy = f"LoRA {config}", "get the file again"
    settings = reading.shaped(_Settings, reading.json_file(config, where, remedy), where, remedy)
    return dict.fromkeys(family.parts, settings)


def _patterns(path: Path, settings: _Settings) -> AlphaPatterns:
    try:
        return AlphaPatterns.read(settings.alpha_pattern or {})
    except ValueError as error:
        raise UserError(f"LoRA {path}: its {error}") from None


def _alpha(settings: _Settings, patterns: AlphaPatterns | None, inner: str, rank: int) -> float:
    """Return the alpha of one module, for which alpha / rank scales its delta."""
    alpha = patterns.alpha_of(inner) if patterns is not None else None
    if alpha is None:
        alpha = settings.lora_alpha
    if alpha is None:
        return float(rank)
    return float(alpha) * math.sqrt(rank) if settings.use_rslora else float(alpha)
