"""The record of a training inside a LoRA file of `sid`, from which a lost catalog can be rebuilt."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

KEY = "sid_training"  # beside kohya's own metadata, which other tools read


@dataclass(frozen=True)
class Record:
    """One snapshot of a training."""

    training_id: str
    settings: dict[str, Any]  # of [training]
    dataset: list[dict[str, Any]]  # {"picture": sha256, "caption": ..., "repeats": n} each
    seen: list[int]  # how often each picture of the dataset was in a batch
    epoch: int
    steps: int  # finished, over all epochs
    loss: float  # mean over the epoch
    is_last: bool


def to_metadata(record: Record) -> dict[str, str]:
    """Return the record as an entry of a safetensors file's metadata."""
    return {KEY: json.dumps(asdict(record), ensure_ascii=False)}


def of_file(path: Path) -> Record | None:
    """Return the record in a LoRA file; None for files of other tools and damaged files."""
    try:
        with safe_open(path, "np") as file:
            record = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError):
        return None
    return Record(**json.loads(record)) if record else None
