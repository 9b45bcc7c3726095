"""A Streamlit component for painting an inpainting mask over a candidate or the original."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image, UnidentifiedImageError

from bootstrap import images
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.project.projects import Project
from review_app.urls import original_url, picture_url

_HERE = Path(__file__).parent / "mask"
_KIND = "data:image/png;base64,"
_MOST_LETTERS = 8_000_000
_MOST_SIDE = 2048  # pixels of a mask while it is painted; a larger picture's mask is enlarged afterwards


@dataclass(frozen=True)
class Paintable:
    """A picture to paint a mask over."""

    name: str  # for a person
    src: str  # its URL
    size: tuple[int, int]  # width and height in pixels

    @property
    def painted_size(self) -> tuple[int, int]:
        """The mask's width and height in pixels while it is painted."""
        share = min(1.0, _MOST_SIDE / max(self.size))
        return max(1, round(self.size[0] * share)), max(1, round(self.size[1] * share))


def of_candidate(project: Project, candidate: Candidate) -> Paintable:
    """Return a candidate's picture."""
    size = candidate.shot.width, candidate.shot.height
    return Paintable("The candidate", picture_url(project, candidate.id), size)


def of_original(project: Project) -> Paintable:
    """Return the original.

    Raises:
        UserError: it is missing or cannot be read.
    """
    return Paintable("The original", original_url(project), images.size_of(project.original))


@cache
def _component() -> Any:
    return st.components.v2.component(
        "sid_mask",
        html=(_HERE / "mask.html").read_text("utf-8"),
        css=(_HERE / "mask.css").read_text("utf-8"),
        js=(_HERE / "mask.js").read_text("utf-8"),
    )


def mask_painter(picture: Paintable, key: str) -> str:
    """Show a picture for painting; return the mask as a data URL of a PNG, empty before the first stroke."""
    width, height = picture.painted_size
    state = _component()(
        data={"src": picture.src, "name": picture.name, "width": width, "height": height},
        key=key,
        on_mask_change=lambda: None,
    )
    return str(state.get("mask") or "")


def save_mask(project: Project, generation: int, picture: Paintable, painted: str) -> Path:
    """Write a painted mask of a picture's size beside the candidates of a generation, and return its path.

    Raises:
        UserError: nothing is painted, or the data is not a PNG of the size that was painted.
    """
    if not painted:
        raise UserError("mask: it is empty; paint over the part to redraw")
    try:
        if not painted.startswith(_KIND) or len(painted) > _MOST_LETTERS:
            raise ValueError("not a small PNG")
        content = base64.b64decode(painted.removeprefix(_KIND), validate=True)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as opened:
            if opened.size != picture.painted_size:
                raise ValueError("its size is not the picture's")
            mask = opened.convert("L").point(lambda level: 255 if level >= 128 else 0)
            mask = mask.resize(picture.size, Image.Resampling.NEAREST)
    except (
        ValueError, binascii.Error, UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError
    ) as error:  # fmt: skip
        raise UserError(f"mask: it cannot be used ({error}); paint it again") from None
    if not any(mask.histogram()[128:]):
        raise UserError("mask: it is empty; paint over the part to redraw")
    name = hashlib.sha256(mask.tobytes()).hexdigest()[:16]
    path = project.generation_folder(generation) / "masks" / f"{name}.png"
    with whole_file(path) as temporary:
        mask.save(temporary, "PNG")
    return path
