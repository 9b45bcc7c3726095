"""The PNG of a sheet: its place, and what it tells of itself, so that a lost catalog can be made again."""

import json
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from bootstrap.catalog.sheets import Sheet
from bootstrap.files import sha256_of_text, whole_file
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project

FOLDER = "sheets"  # in the generation's
_KEY = "sid sheet"  # of the PNG's text


def sheet_for(generation: Generation, axes: dict[str, list[Any]], prompt: str) -> Sheet:
    """Return the sheet with its place in the project: the same one for the same axes and prompt.

    Args:
        axes, prompt: see Sheet.
    """
    digest = sha256_of_text(json.dumps([*axes.items(), prompt]))[:8]
    folder = generation.folder.relative_to(generation.project.folder) / FOLDER
    return Sheet(generation.number, folder / f"{'-by-'.join(axes)}-{digest}.png", axes, prompt)


def save(picture: Image.Image, sheet: Sheet, project: Project) -> None:
    """Write a sheet, over what was there."""
    told = PngImagePlugin.PngInfo()
    told.add_itxt(_KEY, json.dumps({"axes": list(sheet.axes.items()), "prompt": sheet.prompt}))
    with whole_file(project.folder / sheet.path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=told)


def read(generation: Generation, path: Path) -> Sheet | None:
    """Return what a sheet's file shows, None where it is no sheet of ours, or damaged."""
    try:
        with Image.open(path) as picture:
            told = json.loads(picture.info[_KEY])
        inside = path.relative_to(generation.project.folder)
        return Sheet(generation.number, inside, dict(told["axes"]), told["prompt"])
    except (KeyError, TypeError, ValueError, OSError):
        return None
