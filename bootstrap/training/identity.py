"""What makes two trainings the same: dataset, base model, settings."""

import json
from dataclasses import dataclass

from bootstrap.files import sha256_of_text
from bootstrap.project.settings import TrainingSection

_RECIPE = 2  # raise it when the same inputs would train to another LoRA


@dataclass(frozen=True)
class Example:
    """One picture of the dataset as training sees it."""

    path: str
    picture_sha256: str  # of the file
    caption: str
    repeats: int  # how often an epoch shows it; of a regularization picture: of no meaning
    size: tuple[int, int]  # width and height in pixels that it is fitted to
    is_regularization: bool = False


def training_id(examples: list[Example], base_model_hash: str, settings: TrainingSection) -> str:
    """Return 64 hex digits that are equal exactly when the trained LoRA would be."""
    idle = set(settings.OF_NO_CONSEQUENCE)
    if settings.conv_dim is None:  # trainings had none at first, and keep their ids
        idle |= {"conv_dim", "conv_alpha"}
    described = {
        "recipe": _RECIPE,
        "dataset": [
            [one.picture_sha256, one.caption, one.repeats, one.size, one.is_regularization]
            for one in examples
        ],
        "base_model": base_model_hash,
        "settings": settings.model_dump(exclude=idle),
    }
    return sha256_of_text(json.dumps(described, sort_keys=True))
