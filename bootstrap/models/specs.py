"""Finding base models, and reading and checking their properties without loading them."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from bootstrap import reading
from bootstrap.commands import command
from bootstrap.errors import UserError, in_one_line
from bootstrap.files import path_of, sha256_of_file
from bootstrap.models import checkpoint, registry
from bootstrap.models.checkpoint import PredictionType
from bootstrap.models.family import BaseModelSpec, Family, Files, Geometry, Vocabulary

_NETWORK_PATHS = ("//", "\\\\")  # on Windows, opening such a path asks another machine
EMBEDDED_FOLDER = Path(__file__).parent.parent / "papertown" / "models"
_OWN = (
    "sid.json"  # in the folder of an embedded model: its defaults, its tagger, other prompts that it can draw
)


def family(spec: BaseModelSpec) -> Family | None:
    """Return a base model's family; None: a hub model that is not on this machine.

    Raises:
        UserError: it belongs to no supported family.
    """
    if spec.kind == "file":
        path = Path(spec.source)
        return registry.of_file(path, checkpoint.read(path))
    index = _file(spec, "model_index.json")
    if index is None:
        return None
    return registry.of_folder(spec.name, checkpoint.read_json(index), files(spec))


def files(spec: BaseModelSpec) -> Files:
    """Return a function that finds a base model's files; it returns None for a hub model's file that is not here."""
    if spec.kind != "file":
        return lambda name: _file(spec, name)
    path = Path(spec.source)
    return registry.of_file(path, checkpoint.read(path)).shipped


def _file(spec: BaseModelSpec, name: str) -> Path | None:
    if spec.kind != "hub":
        return Path(spec.source) / name
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(spec.source, name)
    return Path(path) if isinstance(path, str) else None


def geometry(spec: BaseModelSpec) -> Geometry | None:
    """Read a base model's geometry from its configuration; None: a hub model that is not on this machine."""
    model_family = family(spec)
    if model_family is None:
        return None
    try:
        return model_family.geometry(files(spec))
    except (KeyError, TypeError):
        if spec.kind == "hub":  # downloaded in part
            return None
        raise UserError(
            f"base model {spec.name}: its configuration lacks the sizes; download the model again"
        ) from None


def vocabulary(spec: BaseModelSpec) -> Vocabulary | None:
    """Return the vocabulary of a base model's text encoders, without loading them; None: not on this machine."""
    model_family = family(spec)
    return model_family.vocabulary(files(spec)) if model_family is not None else None


def most_clip_skip(spec: BaseModelSpec) -> int | None:
    """Return the number of layers that clip_skip chooses among; None: it has no effect, or the model is not here."""
    model_family = family(spec)
    return model_family.most_clip_skip(files(spec)) if model_family is not None else None


def has_zero_terminal_snr(spec: BaseModelSpec) -> bool:
    """Whether a base model's files say that its noise process ends in pure noise; False: they do not say it."""
    if spec.kind == "file":
        return checkpoint.read(Path(spec.source)).has_zero_snr
    return bool(
        checkpoint.read_json(_file(spec, "scheduler/scheduler_config.json")).get("rescale_betas_zero_snr")
    )


def check(spec: BaseModelSpec, settings: Mapping[str, Any], where: str) -> None:
    """Refuse settings that a base model's family cannot honour; a hub model that is not here passes unchecked.

    Args:
        settings: complete, with all defaults.
        where: the settings' file, for the message.

    Raises:
        UserError: a setting cannot be honoured; the message names it and the family.
    """
    model_family = family(spec)
    if model_family is None:
        return
    for section, values in model_family.fixed.items():
        for key, value in values.items():
            if settings[section][key] != value:
                raise UserError(
                    f"{where}: '{section}.{key}' is {settings[section][key]!r}, but {model_family.title} supports only "
                    f"{value!r}; leave it out"
                )
    sizes = geometry(spec)
    step = sizes.side_step if sizes is not None else 1
    sides = [
        (f"{section}.{key}", settings[section][key])
        for section, key in (("training", "resolution"), ("drawing", "width"), ("drawing", "height"))
    ]
    for number, recipe in enumerate(settings.get("recipe", []), 1):
        sides += [(f"recipe[{number}].sizes", side) for size in recipe.get("sizes", []) for side in size]
    for name, side in sides:
        if side is not None and side % step:
            raise UserError(f"{where}: '{name}' is {side}; {model_family.title} takes multiples of {step}")
    layers = most_clip_skip(spec)
    for section in ("training", "drawing"):
        clip_skip = settings[section]["clip_skip"]
        if layers is not None and clip_skip is not None and clip_skip > layers:
            raise UserError(
                f"{where}: '{section}.clip_skip' is {clip_skip}, but the text encoder has {layers} layers"
            )
    for key, supported in (("sampler", model_family.samplers), ("schedule", model_family.schedules)):
        value = settings["drawing"][key]
        if value not in supported:
            raise UserError(
                f"{where}: 'drawing.{key}' is {value}; {model_family.title} supports {', '.join(supported)}"
            )


def embedded_names() -> list[str]:
    """Return the names of the base models that are shipped with the package."""
    return sorted(folder.parent.name for folder in EMBEDDED_FOLDER.glob("*/model_index.json"))


def find(name: str, *, local_only: bool = False) -> BaseModelSpec:
    """Find a base model by the name of an embedded one, a diffusers folder, a .safetensors file or a hub id.

    Args:
        name: as in project.toml.
        local_only: only a picture gives this name, and anybody may have made the picture: nothing is asked for it
            outside this machine.

    Raises:
        UserError: there is none, or it is a pickled checkpoint (`.ckpt`, `.pt`, `.bin`) or of no supported family;
            or it is not on this machine and must be.
    """
    if name in embedded_names():
        own = checkpoint.read_json(EMBEDDED_FOLDER / name / _OWN)
        return BaseModelSpec(
            name, "embedded", str(EMBEDDED_FOLDER / name), own.get("defaults", {}),
            other_prompts=tuple(own.get("other_prompts", ())), tagger=own.get("tagger"),
        )  # fmt: skip
    if not name.strip():
        raise UserError(f"base model: its name is empty; the embedded ones are {', '.join(embedded_names())}")
    if local_only and name.startswith(_NETWORK_PATHS):
        raise UserError(_only_in_a_picture(name))
    path = path_of(name, "base model")
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"base model {name[:200]}: its path cannot be used ({error.strerror})") from None
    if path.suffix.lower() in (".ckpt", ".pt", ".pth", ".bin"):
        raise UserError(
            f"base model {name}: pickled checkpoints can run code when they are opened, so only .safetensors "
            "is read; convert it with AUTOMATIC1111's Checkpoint Merger (one model, save as safetensors)"
        )
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise UserError(
                f"base model {name}: the folder has no model_index.json, so it is not a diffusers model"
            )
        return _with_defaults(BaseModelSpec(name, "folder", str(path.resolve())))
    if path.suffix.lower() == ".safetensors":
        reading.require_file(path, f"base model {name}")
        return _with_defaults(BaseModelSpec(name, "file", str(path.resolve())))
    # As the hub does.
    if re.fullmatch(r"\b[\w.-]+\b/\b[\w.-]{1,96}\b", name) and "--" not in name and ".." not in name:
        spec = BaseModelSpec(name, "hub", name, local_only=local_only)
        if local_only and family(spec) is None:
            raise UserError(_only_in_a_picture(name))
        return _with_defaults(spec)
    near = difflib.get_close_matches(name, embedded_names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"embedded ones: {', '.join(embedded_names())}"
    raise UserError(
        f"base model '{name}': unknown; give a diffusers folder, a .safetensors file, a hub id such as "
        f"owner/name, or an embedded model ({hint})"
    )


def _only_in_a_picture(name: str) -> str:
    return (
        f"base model {in_one_line(name)[:200]}: only a picture names it, and it is not on this machine; nothing is "
        f"downloaded for a picture, so if you trust it, name it yourself: "
        f"{command('redraw', 'FILE', '--base', 'MODEL')}"
    )


def _with_defaults(spec: BaseModelSpec) -> BaseModelSpec:
    """Return the spec with its family's defaults; this also checks that it belongs to a family."""
    model_family = family(spec)
    if model_family is None:
        return spec
    sections = {*model_family.defaults, *model_family.fixed}
    merged = {
        name: {**model_family.defaults.get(name, {}), **model_family.fixed.get(name, {})} for name in sections
    }
    return dataclasses.replace(spec, defaults=merged)


def predicting(spec: BaseModelSpec, prediction_type: PredictionType | None) -> BaseModelSpec:
    """Return a base model with the prediction type of the setting; None: the model's own.

    A setting equal to the model's own prediction type changes nothing, so that the hash stays the same.

    Raises:
        UserError: its family does not support this prediction type.
    """
    if prediction_type is None:
        return spec
    model_family = family(spec)
    if model_family is not None and prediction_type not in model_family.prediction_types:
        raise UserError(
            f"project.prediction_type: {model_family.title} does not support '{prediction_type}'; leave the setting out"
        )
    if prediction_type == _own_prediction_type(spec, model_family):
        return spec
    return dataclasses.replace(spec, prediction_type=prediction_type)


def _own_prediction_type(spec: BaseModelSpec, model_family: Family | None) -> PredictionType | None:
    """Return the prediction type that the model's own files state; None: unknown without loading it."""
    if spec.kind == "hub" or model_family is None:
        return None
    header = checkpoint.read(Path(spec.source)) if spec.kind == "file" else None
    return model_family.prediction_type(files(spec), header)


@lru_cache(maxsize=16)
def content_hash(spec: BaseModelSpec) -> str:
    """Return the SHA-256 (64 hex digits) of a base model's weights: of the file, or of a folder's files.

    A hub model's is the hash of its id, because its weights may not be here yet. If the settings override the model's
    prediction type, the second half of the hash depends on it; the first half, whose first ten digits infotext shows,
    still identifies the file.
    """
    weights = _hash_of_weights(spec)
    if spec.prediction_type is None:
        return weights
    return weights[:32] + sha256(f"{weights} {spec.prediction_type}".encode()).hexdigest()[:32]


def hash_of_weights(spec: BaseModelSpec) -> str | None:
    """Return the SHA-256 of a base model's own files, whatever the settings; None: of a hub model."""
    return None if spec.kind == "hub" else content_hash(dataclasses.replace(spec, prediction_type=None))


def old_hash(spec: BaseModelSpec) -> str | None:
    """Return the first hash of checkpoints (8 hex digits), which old tools still list; None: it is no single file.

    Source: stable-diffusion-webui, modules/sd_models.py, `model_hash`: of 64 KiB from the second MiB on.
    """
    if spec.kind != "file":
        return None
    with reading.opened(Path(spec.source), f"base model {spec.source}") as file:
        file.seek(0x100000)
        return sha256(file.read(0x10000)).hexdigest()[:8]


def file_name(spec: BaseModelSpec) -> str:
    """Return the name of a base model's file with its ending, of its folder, or the hub id."""
    return spec.name if spec.kind in ("hub", "embedded") else Path(spec.source).name


def _hash_of_weights(spec: BaseModelSpec) -> str:
    if spec.kind == "file":
        return sha256_of_file(Path(spec.source))
    if spec.kind == "hub":
        return sha256(spec.source.encode()).hexdigest()
    digest = sha256()
    folder = Path(spec.source)
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of_file(path)}\n".encode())
    return digest.hexdigest()
