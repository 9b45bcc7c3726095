"""The header of a LoRA file: format, kind, family, tensor names and metadata. Does not import torch."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.lora import tensor_names as names_of_tensors
from bootstrap.models import lora_kinds, registry
from bootstrap.models.family import Family

REMEDY = "download or train it again"
MOST_TENSORS = 50_000  # of a LoRA file; LyCORIS' files for all of SDXL have about 5,000
Format = Literal["kohya", "diffusers", "peft", "comfyui", "unknown"]

# Parts of names that only a LoRA's tensors have.
_MATRIX = re.compile(r"\.(lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up|oft_blocks)\b|^lora_|^lycoris_")
WRAPPED = "lycoris_"  # the beginning of names that LyCORIS' own wrapper gives, without the model's part
_COMFYUI = ("diffusion_model.", "model.diffusion_model.", "text_encoders.")
# A kind's name by a part that only it has, in the order in which they are looked for.
_KINDS = {
    "DoRA": {"dora_scale", "magnitude"},
    "LoHa": {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
    "LoKr": {"lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a", "lokr_w2_b"},
    "LoCon with a middle tensor": {"lora_mid.weight"},
    "GLoRA": {"a1.weight", "b1.weight"},
    "OFT": {"oft_blocks", "oft_R.weight"},
    "BOFT": set(),  # OFT with a dimension more
    "(IA)^3": {"on_input", "ia3_l"},
    "full difference": {"diff"},
    "norm": {"w_norm"},
    "bias": {"diff_b", "b_norm", "lora_up.bias"},
    "LoRA": {"lora_down.weight", "lora_up.weight"},
}


@dataclass(frozen=True)
class Recognized:
    """What a LoRA file is, by its header."""

    format: Format
    family: Family | None  # None: it was made for a model without a family here
    key: str  # of the family or of the other kind: sd1, sdxl, flux, unknown
    title: str  # the same for messages
    shapes: dict[str, tuple[int, ...]]  # of its tensors, by name, in the names' order
    metadata: dict[str, str]


def recognized(path: Path) -> Recognized:
    """Return what a LoRA file is; also for a model that has no family here.

    Raises:
        UserError: it is missing, damaged, too large, or not a LoRA.
    """
    found = _checked_header(path)
    shapes = dict(sorted(found.shapes.items()))
    kind = lora_kinds.transformer_kind(shapes, found.metadata)
    of_modules = [name for name in shapes if not name.startswith(names_of_tensors.BUNDLED)]
    family = registry.of_lora(of_modules) if kind is None else registry.named(kind.key)
    if family is not None:
        return Recognized(
            _format(of_modules, family), family, family.name, family.title, shapes, found.metadata
        )
    if kind is None:
        kind = lora_kinds.UNKNOWN
        if not any(_MATRIX.search(name) for name in shapes):
            raise UserError(
                f"LoRA {path}: not a LoRA in kohya's, diffusers' or PEFT's format (it begins with "
                f"'{next(iter(shapes))}')"
            )
    return Recognized("unknown", None, kind.key, kind.title, shapes, found.metadata)


def drawable(path: Path) -> tuple[Recognized, Family]:
    """Return what a LoRA file is, and its family.

    Raises:
        UserError: see recognized; or it was made for a model without a family here.
    """
    found = recognized(path)
    if found.family is None:
        raise UserError(
            f"LoRA {path}: it was made for another kind of model: {found.title}; sid draws with LoRAs of "
            f"{registry.titles()} (it begins with '{next(iter(found.shapes))}')"
        )
    return found, found.family


def format_of(path: Path) -> Format:
    """Return a LoRA file's format, detected from the names of its tensors.

    Raises:
        UserError: it is missing, damaged, for another kind of model, or not a LoRA.
    """
    return drawable(path)[0].format


def family_of(path: Path) -> Family:
    """Return the family of base models that a LoRA file was made for.

    Raises:
        UserError: see format_of.
    """
    return drawable(path)[1]


def kinds_of(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the kinds of modules in a file, such as LoRA, LoHa, DoRA and norm, by its tensors' names."""
    by_module: dict[str, set[str]] = {}
    for name in shapes:
        if (split := names_of_tensors.split(name)) is not None:
            by_module.setdefault(split[0], set()).add(split[1])
    found = set()
    for parts in by_module.values():
        found |= {next((kind for kind, typical in _KINDS.items() if parts & typical), "LoRA")}
        found |= {"bias"} if parts & _KINDS["bias"] and not parts & _KINDS["norm"] else set()
    if "OFT" in found and any(
        name.endswith(".oft_blocks") and len(shape) == 4 for name, shape in shapes.items()
    ):
        found = found - {"OFT"} | {"BOFT"}
    return [kind for kind in reversed(_KINDS) if kind in found]


def modules_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, int | None]:
    """Return the modules of a file, by what stands before their tensors' names, with the rank of each that has one."""
    ranks: dict[str, int | None] = {}
    for name, shape in shapes.items():
        split = names_of_tensors.split(name)
        if split is not None and not name.startswith(names_of_tensors.BUNDLED):
            is_down = split[1] in ("lora_down.weight", "hada_w1_b") and len(shape) > 1
            ranks[split[0]] = shape[0] if is_down else ranks.get(split[0])
    return ranks


def embeddings_of(shapes: dict[str, tuple[int, ...]]) -> set[str]:
    """Return the names of the embeddings that a file brings along."""
    bundled = (names_of_tensors.bundled_name(name) for name in shapes)
    return {split[0] for split in bundled if split is not None}


def tensor_names(path: Path) -> list[str]:
    """Return the names of a LoRA file's tensors, sorted.

    Raises:
        UserError: it is missing, damaged or empty, or has more than MOST_TENSORS.
    """
    return sorted(_checked_header(path).shapes)


def metadata(path: Path) -> dict[str, str]:
    """Return the metadata in a safetensors file's header; {} for a damaged file."""
    try:
        return reading.safetensors_header(path, f"LoRA {path}", REMEDY).metadata
    except (UserError, OSError):
        return {}


def _checked_header(path: Path) -> reading.SafetensorsHeader:
    reading.require_file(path, f"LoRA {path}")
    if path.suffix.lower() != ".safetensors":
        raise UserError(
            f"LoRA {path}: only .safetensors files are read; pickled ones can run code when opened"
        )
    found = reading.safetensors_header(path, f"LoRA {path}", REMEDY)
    if not found.shapes:
        raise UserError(f"LoRA {path}: it is empty")
    if len(found.shapes) > MOST_TENSORS:
        raise UserError(
            f"LoRA {path}: it has {len(found.shapes):,} tensors, {MOST_TENSORS:,} at most are read"
        )
    return found


def _format(names: list[str], family: Family) -> Format:
    if all(name.startswith((*family.kohya_prefixes, WRAPPED)) for name in names):
        return "kohya"
    if any(name.startswith(_COMFYUI) for name in names):
        return "comfyui"
    if any(name.startswith(tuple(f"{part}." for part in family.parts)) for name in names):
        return "diffusers"
    return "peft"
