"""The record of a training inside a LoRA file of `sid`, from which a lost catalog can be rebuilt."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bootstrap import reading
from bootstrap.errors import UserError

KEY = "sid_training"  # beside kohya's own metadata, which other tools read


_Id = Annotated[str, Field(min_length=1, max_length=64)]
_Count = Annotated[int, Field(ge=0)]


class _Picture(BaseModel):
    model_config = ConfigDict(extra="allow")  # another release may know more of it

    picture: _Id
    caption: str
    repeats: _Count


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    training_id: _Id
    settings: dict[str, Any]
    dataset: Annotated[list[_Picture], Field(max_length=1_000_000)]
    seen: list[_Count]
    epoch: int = Field(ge=1, le=1_000_000)
    steps: _Count
    loss: float
    is_last: bool


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
    """Return the record in a LoRA file; None for files of other tools and damaged files.

    Raises:
        UserError: there is a record, and it is damaged or was written by another release.
    """
    try:
        text = reading.safetensors_header(path, f"LoRA {path}", "").metadata.get(KEY)
    except (UserError, OSError):
        return None
    if not text:
        return None
    where, remedy = f"LoRA {path}: its record of the training", "another release may have written it"
    data = reading.parse_json(text, where, remedy)
    shape = reading.shaped(_Shape, data, where, remedy)
    if len(shape.seen) != len(shape.dataset):
        raise UserError(f"{where}: it counts {len(shape.seen)} pictures of {len(shape.dataset)}; {remedy}")
    return Record(**data)
