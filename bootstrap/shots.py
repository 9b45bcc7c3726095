"""A shot describes one picture to draw, completely; its id is a hash of just that."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LoraUse:
    """A LoRA as a shot uses it."""

    name: str  # the file's name without ending, as in <lora:name:0.8>
    training_id: str  # see bootstrap.training.identity; "" of a file that a prompt names
    snapshot: int  # epoch; 0 of such a file
    strength: float  # of the UNet's part
    te_strength: float | None = None  # of the text encoder's part; None: the same
    sha256: str = ""  # of a file that a prompt names

    @property
    def strengths(self) -> tuple[float, float]:
        """The strengths of the UNet's part and of the text encoder's."""
        return self.strength, self.strength if self.te_strength is None else self.te_strength


@dataclass(frozen=True)
class EmbeddingUse:
    """A textual-inversion embedding whose name is in a shot's prompts."""

    name: str  # the file's name without ending
    sha256: str  # of the file


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
    embeddings: tuple[EmbeddingUse, ...] = ()
    # What it was meant to show; no part of the identity.
    recipe: str = ""
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """16 hex digits: the start of the SHA-256 of the parameters that decide the pixels."""
        parameters = self.to_dict()
        for intent in ("recipe", "eliminated", "added", "base_model"):
            del parameters[intent]
        if self.clip_skip == 1:  # shots had none at first, and keep their ids
            del parameters["clip_skip"]
        if not self.embeddings:  # and no embeddings
            del parameters["embeddings"]
        for lora in parameters["loras"]:
            del lora["name"]  # the training's id, or the file's hash, says which file it is
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, texts and numbers, as they go into JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Shot":
        """Read back what to_dict gave."""
        loras = tuple(LoraUse(**lora) for lora in data["loras"])
        embeddings = tuple(EmbeddingUse(**one) for one in data.get("embeddings", ()))
        lists = {key: tuple(data[key]) for key in ("eliminated", "added")}
        return cls(**{**data, "loras": loras, "embeddings": embeddings, **lists})
