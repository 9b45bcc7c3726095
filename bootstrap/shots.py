"""Shots: a shot completely describes one picture to draw, and its id is a hash of that description."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class LoraUse:
    """A LoRA as a shot uses it."""

    name: str  # the file's name without suffix, as in <lora:name:0.8>
    training_id: str  # see bootstrap.training.identity; "" for a file that is not a project's snapshot
    snapshot: int  # epoch; 0 for such a file
    strength: float  # of the UNet
    te_strength: float | None = None  # of the text encoder; None: the same
    sha256: str = ""  # of such a file, 64 hex digits
    # For a LoRA that is neither the project's own nor named in a prompt: the project or .safetensors file that
    # project.toml names. It is not part of the identity.
    source: str = ""

    @property
    def strengths(self) -> tuple[float, float]:
        """The strengths for the UNet and for the text encoder."""
        return self.strength, self.strength if self.te_strength is None else self.te_strength

    @property
    def in_prompt(self) -> bool:
        """Whether it is a file that the prompt names as `<lora:name:0.8>`."""
        return bool(self.sha256) and not self.source


@dataclass(frozen=True)
class EmbeddingUse:
    """A textual-inversion embedding that a shot's prompts name."""

    name: str  # the file's name without suffix
    sha256: str  # of the file, 64 hex digits


@dataclass(frozen=True)
class PictureUse:
    """A picture file as a shot uses it."""

    path: str  # as in project.toml, relative to the project's folder; not part of the identity
    sha256: str  # of the file, 64 hex digits


@dataclass(frozen=True)
class Imported:
    """Where a picture comes from that sid did not draw."""

    sha256: str  # of the file, 64 hex digits; it alone identifies the picture
    file: str  # its name
    tool: str = ""  # that made it, such as ComfyUI; "" where nothing says so
    model: str = ""  # that drew it
    note: str = ""  # the user's, such as a licence


@dataclass(frozen=True)
class Mask:
    """The area of a picture to redraw: a box, or the white area of a mask picture."""

    blur: int  # pixels of the shot, AUTOMATIC1111's mask blur
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom in pixels of the shot
    picture: PictureUse | None = None  # fitted in the same way as the picture that the shot starts from
    # AUTOMATIC1111's "only masked": the masked area and this many pixels around it are enlarged, drawn, and put back;
    # None: the whole picture is drawn.
    padding: int | None = None


@dataclass(frozen=True)
class Start:
    """What a shot starts from instead of pure noise: for img2img, inpainting, or the second pass of hires."""

    denoising_strength: float  # 0 to 1: the share of the noise added to it
    picture: PictureUse | None = None  # a file ...
    shot: "Shot | None" = None  # ... or this shot's picture; either is fitted to the size of the new shot
    mask: Mask | None = None  # None: the whole picture is redrawn


@dataclass(frozen=True)
class Shot:
    """One picture to draw: everything that its pixels depend on, and what it is meant to show."""

    prompt: str
    negative_prompt: str
    seed: int  # 0 to 2**32 - 1
    steps: int
    sampler: str
    cfg_scale: float
    width: int  # pixels
    height: int
    base_model: str
    base_model_hash: str  # 64 hex digits
    loras: tuple[LoraUse, ...]
    clip_skip: int = 1
    start: Start | None = None
    embeddings: tuple[EmbeddingUse, ...] = ()
    # The noise schedule; empty for a shot that was made before it was a setting, whose pictures keep the older rule.
    schedule: str = ""
    # Set for a picture that sid did not draw; its sampling parameters are then what its file says, or stand-ins.
    imported: Imported | None = None
    # What it is meant to show; not part of the identity.
    recipe: str = ""
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    mended_from: str = ""  # the id of the candidate that a person had drawn again or inpainted

    @cached_property
    def id(self) -> str:
        """16 hex digits: the start of the SHA-256 of the parameters that decide the pixels."""
        if self.imported is not None:
            return hashlib.sha256(f"imported {self.imported.sha256}".encode()).hexdigest()[:16]
        parameters = self.to_dict()
        for intent in ("recipe", "eliminated", "added", "base_model"):
            del parameters[intent]
        parameters.pop("mended_from", None)
        if self.clip_skip == 1:  # the first shots did not have it, and keep their ids
            del parameters["clip_skip"]
        if not self.embeddings:  # the same
            del parameters["embeddings"]
        if self.start is None:  # the same
            del parameters["start"]
        else:
            parameters["start"] = _identity_of_start(self.start)
        for lora in parameters["loras"]:
            del lora["name"], lora["source"]  # the training's id or the file's hash identifies the file
            for newer_field in ("te_strength", "sha256"):
                if not lora[newer_field] and lora[newer_field] != 0.0:
                    del lora[newer_field]
        text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def tags(self) -> list[str]:
        """The prompt's tags."""
        return [tag.strip() for tag in self.prompt.split(",") if tag.strip()]

    @property
    def strength(self) -> float:
        """The strength of the first LoRA, 0.0 without one."""
        return self.loras[0].strength if self.loras else 0.0

    @property
    def snapshot(self) -> int:
        """The epoch of the first LoRA, 0 without one."""
        return self.loras[0].snapshot if self.loras else 0

    @property
    def passes(self) -> "list[Shot]":
        """The shots to draw for this one, in order: those that it starts from, then itself."""
        earlier = self.start.shot.passes if self.start and self.start.shot else []
        return [*earlier, self]

    @property
    def pictures(self) -> "set[PictureUse]":
        """The picture files that its passes need, including masks."""
        starts = [shot.start for shot in self.passes if shot.start]
        uses = [start.picture for start in starts] + [start.mask.picture for start in starts if start.mask]
        return {use for use in uses if use is not None}

    @property
    def hires(self) -> "Shot | None":
        """The first pass if this is the second pass of AUTOMATIC1111's hires fix, which redraws a smaller picture."""
        if self.start is None or self.start.shot is None or self.start.mask is not None:
            return None
        return self.start.shot

    def in_all_passes(self, change: "Callable[[Shot], Shot]") -> "Shot":
        """Return the shot with `change` applied to it and to every shot that it starts from."""
        if self.start is None or self.start.shot is None:
            return change(self)
        changed = self.start.shot.in_all_passes(change)
        return change(dataclasses.replace(self, start=dataclasses.replace(self.start, shot=changed)))

    def reseeded(self, seed: int) -> "Shot":
        """Return the shot with another seed; the seeds of the shots that it starts from move by the same amount."""
        offset = seed - self.seed
        return self.in_all_passes(lambda shot: dataclasses.replace(shot, seed=(shot.seed + offset) % 2**32))

    def to_dict(self) -> dict[str, Any]:
        """Return the shot as dicts, lists, strings and numbers, ready for JSON; without newer fields if empty."""
        return _as_json(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, data: Any, where: str = "shot") -> "Shot":
        """Return the shot that `to_dict` was called on.

        Args:
            data: parsed JSON, from a file or the catalog.
            where: the beginning of a message.

        Raises:
            UserError: a field is missing, unknown, or has another type, range or length; the message names it.
        """
        from bootstrap import shot_shape  # pydantic, which `sid --help` need not wait for

        shot_shape.check(data, where)
        return cls._of_checked(data)

    @classmethod
    def _of_checked(cls, data: dict[str, Any]) -> "Shot":
        loras = tuple(LoraUse(**lora) for lora in data["loras"])
        embeddings = tuple(EmbeddingUse(**embedding) for embedding in data.get("embeddings", ()))
        lists = {key: tuple(data[key]) for key in ("eliminated", "added")}
        start = _start(data["start"]) if data.get("start") else None
        imported = Imported(**data["imported"]) if data.get("imported") else None
        parts = {"loras": loras, "embeddings": embeddings, "start": start, "imported": imported}
        return cls(**{**data, **parts, **lists})


def _as_json(value: Any) -> Any:
    """Return a value with lists instead of tuples, as JSON has them.

    Files of older shots stay byte for byte as they were, so newer fields are left out where they are empty.
    """
    if isinstance(value, list | tuple):
        return [_as_json(part) for part in value]
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items() if (key, part) not in _LEFT_OUT}
    return value


_LEFT_OUT = (("schedule", ""), ("imported", None), ("mended_from", ""))


def _identity_of_start(start: Start) -> dict[str, Any]:
    """Return what the pixels depend on: shots by their id, files by their hash."""
    mask = start.mask
    return {
        "denoising_strength": start.denoising_strength,
        "picture": start.picture.sha256 if start.picture else None,
        "shot": start.shot.id if start.shot else None,
        "mask": _identity_of_mask(mask) if mask else None,
    }


def _identity_of_mask(mask: Mask) -> list[Any]:
    parameters = [mask.blur, mask.box, mask.picture.sha256 if mask.picture else None]
    return parameters if mask.padding is None else [*parameters, mask.padding]


def _start(data: dict[str, Any]) -> Start:
    mask = data["mask"]
    if mask is not None:
        box = tuple(mask["box"]) if mask["box"] else None
        mask = Mask(mask["blur"], box, _picture(mask["picture"]), mask.get("padding"))
    shot = Shot._of_checked(data["shot"]) if data["shot"] else None
    return Start(data["denoising_strength"], _picture(data["picture"]), shot, mask)


def _picture(data: dict[str, Any] | None) -> PictureUse | None:
    return PictureUse(**data) if data else None
