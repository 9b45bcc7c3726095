"""A shot describes one picture to draw, completely; its id is a hash of just that."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# A LoRA's strength where a finished picture is drawn with another one. Below 0 the picture goes away from what the
# LoRA has learnt, as with <lora:name:-1>; recipes want to keep what it has learnt, and take 0 to 2.
LEAST_STRENGTH, MOST_STRENGTH = -2.0, 2.0


@dataclass(frozen=True)
class LoraUse:
    """A LoRA as a shot uses it."""

    name: str  # the file's name without ending, as in <lora:name:0.8>
    training_id: str  # see bootstrap.training.identity; "" of a file that is no project's snapshot
    snapshot: int  # epoch; 0 of such a file
    strength: float  # of the UNet's part
    te_strength: float | None = None  # of the text encoder's part; None: the same
    sha256: str = ""  # of such a file
    # Of a LoRA that is neither the project's own nor named in a prompt: the project or .safetensors file that
    # project.toml names. Where it lies is no part of what it is.
    source: str = ""

    @property
    def strengths(self) -> tuple[float, float]:
        """The strengths of the UNet's part and of the text encoder's."""
        return self.strength, self.strength if self.te_strength is None else self.te_strength

    @property
    def in_prompt(self) -> bool:
        """Whether it is a file that the prompt names, as `<lora:name:0.8>`."""
        return bool(self.sha256) and not self.source


@dataclass(frozen=True)
class EmbeddingUse:
    """A textual-inversion embedding whose name is in a shot's prompts."""

    name: str  # the file's name without ending
    sha256: str  # of the file


@dataclass(frozen=True)
class PictureUse:
    """A picture file as a shot uses it."""

    path: str  # as in project.toml, relative to the project's folder; no part of the identity
    sha256: str  # of the file, 64 hex digits


@dataclass(frozen=True)
class Mask:
    """Where a picture is drawn anew: a box or the white of a picture."""

    blur: int  # pixels of the shot, AUTOMATIC1111's mask blur
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom in pixels of the shot
    picture: PictureUse | None = None  # fitted as the picture is that the shot starts from
    # AUTOMATIC1111's "only masked": what is masked and so many pixels around it is enlarged, drawn, and put back;
    # None: the whole picture is drawn.
    padding: int | None = None


@dataclass(frozen=True)
class Start:
    """What a shot starts from instead of noise alone: img2img, inpainting, or the second pass of hires."""

    denoising_strength: float  # 0 to 1: how much of the noise is put on it
    picture: PictureUse | None = None  # a file ...
    shot: "Shot | None" = (
        None  # ... or the picture of this shot; it is fitted to the size of the one it starts
    )
    mask: Mask | None = None  # None: all of it is drawn anew


@dataclass(frozen=True)
class Shot:
    """One picture to draw: everything that its pixels depend on, and what it was meant to show."""

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
    # What it was meant to show; no part of the identity.
    recipe: str = ""
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """16 hex digits: the start of the SHA-256 of the parameters that decide the pixels."""
        parameters = self.to_dict()
        for intent in ("recipe", "eliminated", "added", "base_model"):
            del parameters[intent]
        if self.clip_skip == 1:  # shots had none at first, and keep their ids
            del parameters["clip_skip"]
        if not self.embeddings:  # and no embeddings
            del parameters["embeddings"]
        if self.start is None:  # and started from noise
            del parameters["start"]
        else:
            parameters["start"] = _identity_of_start(self.start)
        for lora in parameters["loras"]:
            del lora["name"], lora["source"]  # the training's id, or the file's hash, says which file it is
            for later in ("te_strength", "sha256"):
                if not lora[later] and lora[later] != 0.0:
                    del lora[later]
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
        """The shots that are drawn for this one, in order: those that it starts from, and itself last."""
        before = self.start.shot.passes if self.start and self.start.shot else []
        return [*before, self]

    @property
    def pictures(self) -> "set[PictureUse]":
        """The picture files, masks among them, that its passes need."""
        begun = [one.start for one in self.passes if one.start]
        uses = [start.picture for start in begun] + [start.mask.picture for start in begun if start.mask]
        return {use for use in uses if use is not None}

    @property
    def hires(self) -> "Shot | None":
        """The first pass, if this is a second one of AUTOMATIC1111's hires fix: all of a smaller picture drawn anew."""
        if self.start is None or self.start.shot is None or self.start.mask is not None:
            return None
        return self.start.shot

    def in_all_passes(self, change: "Callable[[Shot], Shot]") -> "Shot":
        """Return the shot changed, and those that it starts from."""
        if self.start is None or self.start.shot is None:
            return change(self)
        before = self.start.shot.in_all_passes(change)
        return change(dataclasses.replace(self, start=dataclasses.replace(self.start, shot=before)))

    def reseeded(self, seed: int) -> "Shot":
        """Return the shot with another seed; those that it starts from keep their distance from it."""
        by = seed - self.seed
        return self.in_all_passes(lambda one: dataclasses.replace(one, seed=(one.seed + by) % 2**32))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, texts and numbers, as they go into JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Shot":
        """Read back what to_dict gave."""
        loras = tuple(LoraUse(**lora) for lora in data["loras"])
        embeddings = tuple(EmbeddingUse(**one) for one in data.get("embeddings", ()))
        lists = {key: tuple(data[key]) for key in ("eliminated", "added")}
        start = _start(data["start"]) if data.get("start") else None
        return cls(**{**data, "loras": loras, "embeddings": embeddings, "start": start, **lists})


def _identity_of_start(start: Start) -> dict[str, Any]:
    """What of a start decides the pixels: shots by their id, files by what is in them."""
    mask = start.mask
    return {
        "denoising_strength": start.denoising_strength,
        "picture": start.picture.sha256 if start.picture else None,
        "shot": start.shot.id if start.shot else None,
        "mask": _identity_of_mask(mask) if mask else None,
    }


def _identity_of_mask(mask: Mask) -> list[Any]:
    own = [mask.blur, mask.box, mask.picture.sha256 if mask.picture else None]
    return own if mask.padding is None else [*own, mask.padding]


def _start(data: dict[str, Any]) -> Start:
    mask = data["mask"]
    if mask is not None:
        box = tuple(mask["box"]) if mask["box"] else None
        mask = Mask(mask["blur"], box, _picture(mask["picture"]), mask.get("padding"))
    shot = Shot.from_dict(data["shot"]) if data["shot"] else None
    return Start(data["denoising_strength"], _picture(data["picture"]), shot, mask)


def _picture(data: dict[str, Any] | None) -> PictureUse | None:
    return PictureUse(**data) if data else None
