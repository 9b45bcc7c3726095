"""What makes two trainings the same: dataset, base model, settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.files import sha256_of_text
from bootstrap.models.family import FLOW_SETTINGS
from bootstrap.project.settings import TrainingSection

_RECIPE = 2  # raise it when the same inputs would train a different LoRA

# How captions are divided into chunks: 2, as prompts are (clip_chunks.py); before, after every 75 tokens.
_CHUNKS = 2


@dataclass(frozen=True)
class Example:
    """One picture of the dataset as training sees it."""

    path: str
    picture_sha256: str  # of the file
    caption: str
    repeats: int  # how often an epoch shows it; without meaning for a regularization picture
    size: tuple[int, int]  # width and height in pixels that it is fitted to
    is_regularization: bool = False


def training_id(
    examples: list[Example],
    base_model_hash: str,
    settings: TrainingSection,
    optimizer_options: Mapping[str, Any] | None = None,
    has_chunks: bool = False,
) -> str:
    """Return 64 hex digits that are equal exactly when the trained LoRAs would be equal.

    Args:
        examples: the dataset, then the regularization pictures.
        base_model_hash: see bootstrap.models.specs.content_hash.
        settings: of the training.
        optimizer_options: those that settings do not name, where they have changed since the first release; else None.
        has_chunks: whether a caption is divided into chunks, see bootstrap.training.examples.have_chunks.
    """
    excluded = set(settings.OF_NO_CONSEQUENCE)
    if settings.conv_dim is None:  # the first versions lacked them, and ids must not change
        excluded |= {"conv_dim", "conv_alpha"}
    excluded |= {name for name in FLOW_SETTINGS if getattr(settings, name) is None}
    described: dict[str, Any] = {
        "recipe": _RECIPE,
        "dataset": [
            [
                example.picture_sha256,
                example.caption,
                example.repeats,
                example.size,
                example.is_regularization,
            ]
            for example in examples
        ],
        "base_model": base_model_hash,
        "settings": settings.model_dump(exclude=excluded),
    }
    # Only where they matter, so that the ids of all other trainings are those of earlier releases.
    if optimizer_options:
        described["optimizer"] = dict(optimizer_options)
    if has_chunks:
        described["chunks"] = _CHUNKS
    return sha256_of_text(json.dumps(described, sort_keys=True))
