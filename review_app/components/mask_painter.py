"""A Streamlit component for painting an inpainting mask over a candidate."""

import base64
import binascii
import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image, UnidentifiedImageError

from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.project.projects import Project
from review_app.urls import picture_url

_HERE = Path(__file__).parent / "mask"
_KIND = "data:image/png;base64,"
_MOST_LETTERS = 8_000_000


@cache
def _component() -> Any:
    return st.components.v2.component(
        "sid_mask",
        html=(_HERE / "mask.html").read_text("utf-8"),
        css=(_HERE / "mask.css").read_text("utf-8"),
        js=(_HERE / "mask.js").read_text("utf-8"),
    )


def mask_painter(project: Project, candidate: Candidate, key: str) -> str:
    """Show the candidate for painting; return the mask as a data URL of a PNG, empty before the first stroke."""
    state = _component()(
        data={
            "src": picture_url(project, candidate.id),
            "width": candidate.shot.width,
            "height": candidate.shot.height,
        },
        key=key,
        on_mask_change=lambda: None,
    )
    return str(state.get("mask") or "")


def save_mask(project: Project, candidate: Candidate, painted: str) -> Path:
    """Write a painted mask beside the candidates of its generation, and return its path.

    Raises:
        UserError: nothing is painted, or the data is not a PNG of the candidate's size.
    """
    if not painted:
        raise UserError("mask: it is empty; paint over the part to redraw")
    try:
        if not painted.startswith(_KIND) or len(painted) > _MOST_LETTERS:
            raise ValueError("not a small PNG")
        content = base64.b64decode(painted.removeprefix(_KIND), validate=True)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as opened:
            if opened.size != (candidate.shot.width, candidate.shot.height):
                raise ValueError("its size is not the candidate's")
            mask = opened.convert("L").point(lambda level: 255 if level >= 128 else 0)
    except (
        ValueError, binascii.Error, UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError
    ) as error:  # fmt: skip
        raise UserError(f"mask: it cannot be used ({error}); paint it again") from None
    if not any(mask.histogram()[128:]):
        raise UserError("mask: it is empty; paint over the part to redraw")
    name = hashlib.sha256(mask.tobytes()).hexdigest()[:16]
    path = project.generation_folder(candidate.generation) / "masks" / f"{name}.png"
    with whole_file(path) as temporary:
        mask.save(temporary, "PNG")
    return path
