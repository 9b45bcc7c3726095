"""Thumbnails: the small WebP of a candidate for grids and sheets, and of an original for the list of projects."""

import io
import logging
from functools import lru_cache
from pathlib import Path

from PIL import Image

from bootstrap import images, reading
from bootstrap.catalog.candidates import Candidate
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.project.projects import Project

THUMBNAIL_SIDE = 192  # pixels of the longer side

_log = logging.getLogger(__name__)


def make_thumbnail(project: Project, candidate: Candidate) -> bool:
    """Write a candidate's thumbnail if it is missing; return False if the picture cannot be read any more."""
    where = f"candidate '{candidate.id}'"
    try:
        path = reading.inside(project.folder, candidate.thumbnail, where)
        if path.is_file():
            return True
        picture = images.open_picture(reading.inside(project.folder, candidate.path, where))
    except UserError as error:
        _log.warning("candidate %s cannot be shown: %s", candidate.id, error)
        return False
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    with whole_file(path) as temporary:
        picture.save(temporary, "WEBP", quality=85)
    return True


@lru_cache(maxsize=256)
def small_original(path: Path, version: int) -> bytes:
    """Return an original as a small WebP; it is kept in memory, so that a project's folder holds only its own files.

    Args:
        version: of the file, such as its time; another one reads it again.

    Raises:
        UserError: the picture cannot be read.
    """
    picture = images.open_picture(path)
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=85)
    return packed.getvalue()
