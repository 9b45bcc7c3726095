"""What a folder knows of tags as a base model draws them, see bootstrap.drawing.tag_drawings. Loads no model."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap.files import write_text

_FILE = "tags.json"


@dataclass(frozen=True)
class TagDrawing:
    """A tag as a base model draws it."""

    tag: str
    sameness: float  # mean cosine with what it draws without any text, -1 to 1
    is_known: bool  # it is less than that of made-up words mostly is
    file: str  # a WebP in the folder


def read(folder: Path, base_hash: str | None = None) -> dict[str, TagDrawing]:
    """Return the drawings that lie in a folder, by tag.

    Args:
        base_hash: only if this base model drew them; None: whichever did.
    """
    try:
        told = json.loads((folder / _FILE).read_text("utf-8"))
        if base_hash not in (None, told["base"]):
            return {}
        found = [TagDrawing(**one) for one in told["tags"]]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # nothing was drawn yet, or another version did it
    return {one.tag: one for one in found if (folder / one.file).is_file()}


def write(folder: Path, base_hash: str, drawings: Iterable[TagDrawing]) -> None:
    """Note which drawings lie in a folder."""
    told = {"base": base_hash, "tags": [asdict(one) for one in drawings]}
    write_text(folder / _FILE, json.dumps(told, ensure_ascii=False, indent=1))
