"""The index of a folder of tag drawings (see bootstrap.drawing.tag_drawings). Loads no model."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.files import write_text

_FILE = "tags.json"


@dataclass(frozen=True)
class TagDrawing:
    """A base model's drawing of a tag."""

    tag: str
    sameness: float  # mean cosine with what the model draws without any text, -1 to 1
    is_known: bool  # whether sameness is below what made-up words mostly have
    file: str  # a WebP in the folder


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tag: str
    sameness: float
    is_known: bool
    file: str = Field(pattern=r"^[^/\\\x00]{1,200}\.webp$")  # in the folder, nowhere else


class _Index(BaseModel):
    base: str
    tags: list[_Entry]


def read(folder: Path, base_hash: str | None = None) -> dict[str, TagDrawing]:
    """Return the drawings in a folder, by tag.

    Args:
        base_hash: return only drawings of this base model; None: of any.
    """
    where = f"tag drawings {folder}"
    try:
        index = reading.shaped(_Index, reading.json_file(folder / _FILE, where, ""), where, "")
    except (OSError, UserError):
        return {}  # nothing has been drawn yet, or another version wrote the index
    if base_hash not in (None, index.base):
        return {}
    drawings = [TagDrawing(**dict(entry)) for entry in index.tags]
    return {drawing.tag: drawing for drawing in drawings if (folder / drawing.file).is_file()}


def write(folder: Path, base_hash: str, drawings: Iterable[TagDrawing]) -> None:
    """Write the index of a folder's drawings."""
    index = {"base": base_hash, "tags": [asdict(drawing) for drawing in drawings]}
    write_text(folder / _FILE, json.dumps(index, ensure_ascii=False, indent=1))
