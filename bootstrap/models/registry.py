"""The families that there are, and which of them a checkpoint or a LoRA file is of."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bootstrap.errors import UserError
from bootstrap.models import checkpoint
from bootstrap.models.checkpoint import Header
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.families.sdxl import SDXL
from bootstrap.models.family import Family, Files

_families: list[Family] = [SD1, SDXL]


def families() -> list[Family]:
    """Return all families."""
    return list(_families)


@contextmanager
def registered(family: Family) -> Iterator[None]:
    """Know one more family for the length of a `with` block."""
    _families.append(family)
    try:
        yield
    finally:
        _families.remove(family)


def of_folder(name: str, index: Mapping[str, Any], files: Files) -> Family:
    """Return the family of a model in diffusers' layout.

    Args:
        name: of the base model, for the message.
        index: what stands in its model_index.json.
        files: its files; those of a hub model may not be here yet.

    Raises:
        UserError: it is of none.
    """
    pipeline = index.get("_class_name")
    if pipeline is None:
        raise UserError(f"base model {name}: its model_index.json names no pipeline; fetch the model again")
    for family in _families:
        if family.recognizes_folder(index, files):
            return family
    width = checkpoint.read_json(files("unet/config.json")).get("cross_attention_dim")
    is_second = pipeline == "StableDiffusionPipeline" and width == 1024
    raise UserError(_refusal(name, "Stable Diffusion 2.x" if is_second else f"a {pipeline}"))


def of_file(path: Path, header: Header) -> Family:
    """Return the family of a single-file checkpoint.

    Raises:
        UserError: it is of none.
    """
    for family in _families:
        if family.recognizes_file(header):
            return family
    kind = checkpoint.kind_without_family(header)
    if kind is None:
        is_unet = header.has("model.diffusion_model.")
        kind = "a model without CLIP text encoders" if is_unet else "of an unknown kind"
    raise UserError(_refusal(path, kind))


def of_lora(names: Iterable[str]) -> Family | None:
    """Return the family of a LoRA file by the names of its modules or tensors; None: it is of none."""
    known = list(names)
    return next((family for family in _families if family.owns_lora(known)), None)


def titles() -> str:
    """Return the families' titles, as in `A, B or C`."""
    *others, last = [family.title for family in _families]
    return f"{', '.join(others)} or {last}" if others else last


def _refusal(name: str | Path, kind: str) -> str:
    return f"base model {name}: it is {kind}; take a {titles()} base checkpoint"
