"""The PNG of a sheet: its path, and its axes and prompt as PNG text, so that a lost catalog can be rebuilt."""

import json
from pathlib import Path
from typing import Annotated, Any

from PIL import Image, PngImagePlugin
from pydantic import BaseModel, Field

from bootstrap import reading
from bootstrap.catalog import sheets
from bootstrap.catalog.sheets import Sheet
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_text, whole_file
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project

FOLDER = "sheets"  # in the generation's folder
_KEY = "sid sheet"  # key of the PNG text


class _Contents(BaseModel):
    """The JSON in a sheet: [[parameter, [value, ...]], ...] and the prompt."""

    axes: list[Any]
    prompt: Annotated[str, Field(max_length=100_000)]


def sheet_for(generation: Generation, axes: dict[str, list[Any]], prompt: str) -> Sheet:
    """Return the sheet with its path in the project, which follows from its axes and prompt.

    Args:
        axes, prompt: see Sheet.
    """
    digest = sha256_of_text(json.dumps([*axes.items(), prompt]))[:8]
    folder = generation.folder.relative_to(generation.project.folder) / FOLDER
    return Sheet(generation.number, folder / f"{'-by-'.join(axes)}-{digest}.png", axes, prompt)


def save(picture: Image.Image, sheet: Sheet, project: Project) -> None:
    """Write a sheet, replacing an existing one."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(_KEY, json.dumps({"axes": list(sheet.axes.items()), "prompt": sheet.prompt}))
    with whole_file(project.folder / sheet.path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=chunks)


def read(generation: Generation, path: Path) -> Sheet | None:
    """Return the sheet that a file shows; None: it was not written by sid, or is damaged."""
    where = f"sheet {path}"
    try:
        reading.refuse_irregular(path, where)
        with Image.open(path, formats=["PNG"]) as picture:
            text = str(picture.info[_KEY])
        contents = reading.shaped(_Contents, reading.parse_json(text, where, ""), where, "")
        axes = sheets.axes_of(contents.axes, where, "")
    except (KeyError, ValueError, OSError, SyntaxError, UserError, Image.DecompressionBombError):
        return None
    inside = path.relative_to(generation.project.folder)
    return Sheet(generation.number, inside, axes, contents.prompt)
