"""Loading a base model: once per process, shared by training and drawing."""

import huggingface_hub.constants
import torch
from diffusers import DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from bootstrap.commands import command
from bootstrap.errors import UserError, in_one_line
from bootstrap.models import denormals, registry, specs
from bootstrap.models.family import BaseModel, BaseModelSpec, Family
from bootstrap.models.specs import content_hash

# What diffusers, transformers and torch raise for files that are damaged, or have other types than they expect.
_OF_DAMAGED_FILES = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, SingleFileComponentError,
)  # fmt: skip
_held: dict[BaseModelSpec, BaseModel] = {}
_users_offline = (
    huggingface_hub.constants.HF_HUB_OFFLINE
)  # the user's setting; _read overrides it for local models


@denormals.as_zero()
def hold(spec: BaseModelSpec) -> BaseModel:
    """Return the loaded model; it stays in memory until another one is loaded.

    Raises:
        UserError: the files are damaged, or not a model of a supported family.
    """
    if spec not in _held:
        _held.clear()  # one at a time: two would not fit on most GPUs
        _held[spec] = _load(spec)
    return _held[spec]


def release() -> None:
    """Release the held model and its memory."""
    _held.clear()


def best_device() -> torch.device:
    """Return the first GPU if any, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _load(spec: BaseModelSpec) -> BaseModel:
    device = best_device()
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    base = _read(spec, dtype)
    for module in base.modules:
        module.requires_grad_(False).eval()
    base.family.place(base, device)
    return base


def _read(spec: BaseModelSpec, dtype: torch.dtype) -> BaseModel:
    # A local model must not contact the hub; for a hub model the user's setting counts.
    huggingface_hub.constants.HF_HUB_OFFLINE = spec.kind != "hub" or spec.local_only or _users_offline
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity(diffusers_logging.CRITICAL)  # what it logs as an error, it also raises
    try:
        family = specs.family(spec) if spec.kind != "hub" else _fetched_family(spec)
        assert family is not None
        base = family.load(spec, content_hash(spec), dtype)
    except Exception as error:
        # tokenizers raises plain exceptions.
        if not isinstance(error, _OF_DAMAGED_FILES) and type(error) is not Exception:
            raise
        reason = in_one_line(str(error))[:300]
        if spec.local_only:
            raise UserError(
                f"base model {spec.name}: only a picture names it, and its copy on this machine is incomplete; nothing "
                "is downloaded for a picture, so if you trust it, name it yourself: "
                f"{command('redraw', 'FILE', '--base', 'MODEL')}"
            ) from error
        if spec.kind == "hub" and _users_offline:
            raise UserError(
                f"base model {spec.name}: it is missing from the cache, or incomplete there, and HF_HUB_OFFLINE "
                f"forbids downloading it: {reason}"
            ) from error
        raise UserError(f"base model {spec.name}: it cannot be loaded: {reason}") from error
    if spec.kind == "hub":
        specs.family(spec)  # refuse it here if its files, now complete, say that its kind is not supported
    return base


def _fetched_family(spec: BaseModelSpec) -> Family:
    """Return the family of a hub model, after downloading only its model_index.json."""
    return registry.of_folder(spec.name, DiffusionPipeline.load_config(spec.source), specs.files(spec))
