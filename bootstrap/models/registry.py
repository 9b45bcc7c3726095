"""The supported families, and which of them a checkpoint or a LoRA file belongs to."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bootstrap.errors import UserError
from bootstrap.models import checkpoint
from bootstrap.models.checkpoint import Header
from bootstrap.models.families.flux2 import FLUX2_KLEIN, FLUX2_KLEIN_DISTILLED
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.families.sdxl import SDXL
from bootstrap.models.families.z_image import Z_IMAGE, Z_IMAGE_TURBO
from bootstrap.models.family import Family, Files

_families: list[Family] = [SD1, SDXL, Z_IMAGE, Z_IMAGE_TURBO, FLUX2_KLEIN, FLUX2_KLEIN_DISTILLED]


def families() -> list[Family]:
    """Return all families."""
    return list(_families)


@contextmanager
def registered(family: Family) -> Iterator[None]:
    """Register an additional family within a `with` block."""
    _families.append(family)
    try:
        yield
    finally:
        _families.remove(family)


def of_folder(name: str, index: Mapping[str, Any], files: Files) -> Family:
    """Return the family of a model in diffusers' layout.

    Args:
        name: of the base model, for the message.
        index: the content of its model_index.json.
        files: its files; those of a hub model may not be downloaded yet.

    Raises:
        UserError: it belongs to none.
    """
    pipeline = index.get("_class_name")
    if pipeline is None:
        raise UserError(
            f"base model {name}: its model_index.json names no pipeline; download the model again"
        )
    for family in _families:
        if family.recognizes_folder(index, files):
            return family
    width = checkpoint.read_json(files("unet/config.json")).get("cross_attention_dim")
    is_sd2 = pipeline == "StableDiffusionPipeline" and width == 1024
    raise UserError(_refusal(name, "Stable Diffusion 2.x" if is_sd2 else f"a {pipeline}"))


def of_file(path: Path, header: Header) -> Family:
    """Return the family of a single-file checkpoint.

    Raises:
        UserError: it belongs to none.
    """
    for family in _families:
        if family.recognizes_file(header):
            return family
    kind = checkpoint.kind_without_family(header)
    if kind in checkpoint.TRANSFORMERS:
        raise UserError(
            f"base model {path}: it is the transformer of {kind} alone, without text encoder and VAE; give the folder "
            "of the whole model in diffusers' layout, or its hub id"
        )
    if kind is None:
        is_unet = header.has("model.diffusion_model.")
        kind = "a model without CLIP text encoders" if is_unet else "of an unknown kind"
    raise UserError(_refusal(path, kind))


def of_lora(names: Iterable[str]) -> Family | None:
    """Return the family of a LoRA file by the names of its modules or tensors; None: it belongs to none."""
    listed = list(names)
    return next((family for family in _families if family.owns_lora(listed)), None)


def named(name: str) -> Family | None:
    """Return the family of a name, such as sdxl; None: there is none."""
    return next((family for family in _families if family.name == name), None)


def titles() -> str:
    """Return the families' titles, as in `A, B or C`."""
    *first_titles, last_title = [family.title for family in _families]
    return f"{', '.join(first_titles)} or {last_title}" if first_titles else last_title


def _refusal(name: str | Path, kind: str) -> str:
    return f"base model {name}: it is {kind}; take a {titles()} base checkpoint"
