"""The weight files of a model in diffusers' layout: one file or several, of the plain kind or of a variant."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.models.families.release_names import Source, Sources

# diffusers' name of the file of its own models; transformers' name.
_STEMS = ("diffusion_pytorch_model", "model")
# As in `model.fp16.safetensors`, `model.fp16-00001-of-00002.safetensors` and the older
# `model-00001-of-00002.fp16.safetensors`.
_FILE = re.compile(
    rf"({'|'.join(_STEMS)})(?:\.(?P<variant>[\w]+))?(?:-(?P<number>\d+)-of-(?P<count>\d+))?"
    r"(?:\.(?P<older>\w+))?\.safetensors"
)
_USUAL = ("", "fp16", "bf16", "fp32")  # what is taken where a folder has several


def of_part(folder: Path, name: str) -> list[Path]:
    """Return the weight files of a part of a model.

    A folder may hold the same weights several times, as variants such as `fp16`; the plain files count before them.

    Args:
        folder: of the part, such as `unet`.
        name: of the base model, for the message.

    Raises:
        UserError: there are none that can be read, or one of several is missing.
    """
    variants: dict[str, list[re.Match[str]]] = defaultdict(list)
    listed = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for match in filter(None, map(_FILE.fullmatch, listed)):
        variants[match["variant"] or match["older"] or ""].append(match)
    if not variants:
        raise UserError(
            f"base model {name}: its folder {folder.name} has no .safetensors weights"
            + (" (only pickled ones, which can run code when they are opened)" if _pickled(listed) else "")
            + "; download the model again, in safetensors"
        )
    variant = next((usual for usual in _USUAL if usual in variants), min(variants))
    matches = variants[variant]
    whole = [match for match in matches if match["number"] is None]
    if whole:
        return [folder / whole[0].string]
    wanted = int(matches[0]["count"])
    if len(matches) != wanted:
        raise UserError(
            f"base model {name}: its folder {folder.name} has {len(matches)} of {wanted} weight files; download the "
            "model again"
        )
    return [folder / match.string for match in matches]


def _pickled(names: list[str]) -> bool:
    return any(name.endswith((".bin", ".ckpt", ".pt", ".pth")) for name in names)


def sources(names: Iterable[str], part: str) -> Sources:
    """Return the sources of a part's tensors: their own names, or those of earlier releases of the libraries."""
    older = (
        ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn."))
        if part == "vae"
        else ()
    )
    found: Sources = {}
    for name in names:
        alternatives = [name]
        if part.startswith("text_encoder"):
            # transformers 5.6 and later have no `text_model` in CLIPTextModel.
            inner = name.removeprefix("text_model.")
            alternatives += [inner, f"text_model.{inner}"]
        alternatives += [name.replace(new, old) for new, old in older if new in name]
        found[name] = [Source(alternative) for alternative in dict.fromkeys(alternatives)]
    return found


def is_left_out(name: str) -> bool:
    """Whether a tensor of a part's file is none of the part's weights: CLIP's halves that compare with pictures."""
    last = name.rpartition(".")[2]
    return last in ("position_ids", "logit_scale", "scaled_fp8") or name == "text_projection.weight"
