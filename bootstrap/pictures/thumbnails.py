"""Thumbnails: the small WebP of a candidate, for grids and sheets."""

import logging

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
