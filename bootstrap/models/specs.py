"""Which base models there are, and what each one brings: found and checked without loading it."""

import dataclasses
import difflib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast

from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models import checkpoint
from bootstrap.models.checkpoint import PredictionType

CONFIGS = Path(__file__).parent / "configs"  # of base models that are a single file
EMBEDDED_FOLDER = Path(__file__).parent.parent / "papertown" / "models"

# What works best for Paper Town, a far smaller model than Stable Diffusion: see docs/papertown.md.
_PAPERTOWN_DEFAULTS: dict[str, dict[str, Any]] = {
    "training": {
        "repeats": 80,  # at batch size 4 the 120 steps of the method: a small model learns steadier so
        "train_batch_size": 4,
        "network_dim": 32,
        "network_alpha": 32,
        "unet_lr": 1.2e-3,  # higher ones keep accents at lower strengths, but exchange less: docs/bench.md
        "text_encoder_lr": 2e-4,
        "shuffle_caption": True,
        "resolution": 128,
    },
    "drawing": {"sampler": "DDIM", "steps": 16, "cfg_scale": 3.0, "batch_size": 16},
}
EMBEDDED_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "papertown": _PAPERTOWN_DEFAULTS,
    "papertown-ink": _PAPERTOWN_DEFAULTS,
}


@dataclass(frozen=True)
class BaseModelSpec:
    """A base model that was found: not loaded yet."""

    name: str  # as it stands in project.toml
    kind: Literal["embedded", "folder", "file", "hub"]
    source: str  # a path, or the hub id
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False, hash=False)
    prediction_type: PredictionType | None = None  # where the settings say another than the model itself

    @property
    def title(self) -> str:
        """The short name that infotext calls `Model`."""
        return Path(self.source).stem if self.kind == "file" else self.name.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Geometry:
    """What sizes of pictures a base model is made for, as `bootstrap.models.loading.BaseModel` has it too."""

    resolution: int  # side of the square pictures that it was made for, in pixels
    size_step: int  # width and height are multiples of this
    is_sdxl: bool


def geometry(spec: BaseModelSpec) -> Geometry | None:
    """Read a base model's geometry from its configuration; None: a hub model that is not on this machine."""
    if spec.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        files = [try_to_load_from_cache(spec.source, f"{part}/config.json") for part in ("unet", "vae")]
        if not all(isinstance(file, str) for file in files):
            return None
        unet, vae = (_json(Path(str(file))) for file in files)
    else:
        folder = Path(spec.source)
        if spec.kind == "file":
            folder = CONFIGS / ("sdxl" if checkpoint.read(folder).family == "sdxl" else "sd15")
        unet, vae = (_json(folder / part / "config.json") for part in ("unet", "vae"))
    try:
        factor = 2 ** (len(vae["block_out_channels"]) - 1)
        step = factor * 2 ** (len(unet["down_block_types"]) - 1)
        is_sdxl = unet.get("addition_embed_type") == "text_time"
        return Geometry(int(unet["sample_size"]) * factor, step, is_sdxl)
    except (KeyError, TypeError):
        raise UserError(
            f"base model {spec.name}: its configuration tells no sizes; fetch the model again"
        ) from None


def embedded_names() -> list[str]:
    """The base models that come with the package."""
    return sorted(folder.parent.name for folder in EMBEDDED_FOLDER.glob("*/model_index.json"))


def find(name: str) -> BaseModelSpec:
    """Find a base model by the name of an embedded one, a diffusers folder, a .safetensors file or a hub id.

    Raises:
        UserError: nothing is there, it is a pickled checkpoint (`.ckpt`, `.pt`, `.bin`), or a model of another
            kind than Stable Diffusion 1.x and XL.
    """
    if name in embedded_names():
        return BaseModelSpec(name, "embedded", str(EMBEDDED_FOLDER / name), EMBEDDED_DEFAULTS.get(name, {}))
    if not name.strip():
        raise UserError(f"base model: its name is empty; the embedded ones are {', '.join(embedded_names())}")
    path = Path(name).expanduser()
    if path.suffix.lower() in (".ckpt", ".pt", ".pth", ".bin"):
        raise UserError(
            f"base model {name}: pickled checkpoints can run code when they are opened, so only .safetensors "
            "is read; convert it with AUTOMATIC1111's Checkpoint Merger (one model, save as safetensors)"
        )
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise UserError(
                f"base model {name}: the folder has no model_index.json, it is no diffusers model"
            )
        checkpoint.family_of_folder(
            name, _json(path / "model_index.json"), _json(path / "unet" / "config.json")
        )
        return BaseModelSpec(name, "folder", str(path.resolve()))
    if path.suffix.lower() == ".safetensors":
        if not path.is_file():
            raise UserError(f"base model {name}: there is no such file")
        checkpoint.read(path)
        return BaseModelSpec(name, "file", str(path.resolve()))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith((".", "/")):
        return BaseModelSpec(name, "hub", name)
    near = difflib.get_close_matches(name, embedded_names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"embedded ones: {', '.join(embedded_names())}"
    raise UserError(
        f"base model '{name}': unknown; give a diffusers folder, a .safetensors file, a hub id such as "
        f"owner/name, or an embedded model ({hint})"
    )


def predicting(spec: BaseModelSpec, prediction_type: PredictionType | None) -> BaseModelSpec:
    """Return a base model that predicts what the setting says; None: what the model itself says.

    A setting that says what the model says anyway leaves it the same model, with the same hash.
    """
    if prediction_type is None or prediction_type == _own_prediction_type(spec):
        return spec
    return dataclasses.replace(spec, prediction_type=prediction_type)


def _own_prediction_type(spec: BaseModelSpec) -> PredictionType | None:
    """What the model itself says; None where that cannot be told without loading it."""
    if spec.kind == "hub":
        return None
    if spec.kind == "file":
        return checkpoint.read(Path(spec.source)).prediction_type
    told = _json(Path(spec.source) / "scheduler" / "scheduler_config.json").get("prediction_type", "epsilon")
    return cast("PredictionType", told)


def _json(path: Path) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UserError(f"base model: {path} is no valid JSON; fetch the model again") from None


@lru_cache(maxsize=16)
def content_hash(spec: BaseModelSpec) -> str:
    """Return the SHA-256 (64 hex digits) of a base model's weights: of the file, or of a folder's files.

    A hub model is known by its name alone, its weights may not be here yet. Of a model whose prediction type
    is set to another than its own, the second half is of that: the first ten digits are the hash that infotext
    tells, and name the file still.
    """
    weights = _hash_of_weights(spec)
    if spec.prediction_type is None:
        return weights
    return weights[:32] + sha256(f"{weights} {spec.prediction_type}".encode()).hexdigest()[:32]


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
